"""How files are damaged at random: bytes flipped, cut and put in, values of JSON replaced by others."""

import copy
import json
import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

SCALE = float(os.environ.get("SEGRAY_FUZZ_SCALE", "1"))
"""1 in `make test`, 20 in `make test-slow`: 10,000 cases, or fewer where each takes long"""

JUNK = [
    *(None, True, -1, 0, 1, 2**63, 10**30, 0.5, -0.5, 1e308, "", "x", "0", "../..", "\x1b[2J", "\ud800", "<b>"),
    *([], [1], [[]], [None, "x"], {}, {"a": 1}, {"": {"": []}}),
]
PIECES = [b"", b"{", b"}", b"[", b"]", b"null", b"NaN", b"1e999", b"\x00", b"\xff\xfe", b"\n", b'"', b",", b"0" * 50]


def fuzzed(examples=500):
    """Settings of a target: so many cases, the same in every run."""
    return settings(
        max_examples=max(1, round(examples * SCALE)),
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def damaged_bytes(draw, content):
    """The content with one to three damages."""
    damaged = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(damaged)))
        match draw(st.sampled_from(["flip", "cut", "put in", "leave out"])):
            case "flip" if place < len(damaged):
                damaged[place] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del damaged[place:]
            case "put in":
                damaged[place:place] = draw(st.sampled_from(PIECES))
            case _:
                del damaged[place : place + draw(st.integers(1, 8))]
    return bytes(damaged)


@st.composite
def damaged_json(draw, content):
    """JSON in which a value was replaced or left out, or a key put in; now and then damaged bytes."""
    if draw(st.integers(0, 3)) == 0:
        return draw(damaged_bytes(content))
    tree = [copy.deepcopy(json.loads(content))]
    for _ in range(draw(st.integers(1, 2))):
        node, key = draw(st.sampled_from(list(_places(tree))))
        match draw(st.sampled_from(["replace", "replace", "replace", "leave out", "put in"])):
            case "leave out" if node is not tree:
                del node[key]
            case "put in" if isinstance(node, dict):
                node[draw(st.sampled_from(["", "id", "epochs", "model.arch", "x"]))] = copy.deepcopy(
                    draw(st.sampled_from(JUNK))
                )
            case _:
                node[key] = copy.deepcopy(draw(st.sampled_from(JUNK)))
    return json.dumps(tree[0]).encode()


def _places(tree):
    left = [tree]
    while left:
        node = left.pop()
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield node, key
            if isinstance(value, dict | list):
                left.append(value)
