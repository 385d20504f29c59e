"""Content that someone else may have written or damaged: read within limits, and refused in one sentence."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any, Final

import yaml
from PIL import Image
from pydantic import ValidationError

MAX_DEPTH: Final = 50
"""Levels of lists and mappings inside each other; what segray writes has six."""

MAX_VALUES: Final = 5_000_000
"""Values in one file; names of images are most of them."""

MAX_TEXT_BYTES: Final = 10_000_000
"""Size of a file that a person writes."""

MAX_YAML_VALUES: Final = 200_000
"""Values of a YAML document, counted wherever an alias repeats them: nine aliases in nine levels are 400 million."""

PICTURE_DAMAGE: Final = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError),
    # Tags of a TIFF that are missing, of another kind, or out of range.
    *(TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, MemoryError),
)
"""What Pillow raises on damaged files. OpenCV is no choice: it returns a full array for a truncated JPEG."""


def read_limited(path: Path) -> bytes:
    """The content of a file that a person writes.

    Raises:
        OSError: It cannot be read.
        ValueError: It is too long.
    """
    with path.open("rb") as file:
        content = file.read(MAX_TEXT_BYTES + 1)
    if len(content) > MAX_TEXT_BYTES:
        raise ValueError(f"it is longer than {MAX_TEXT_BYTES} bytes")
    return content


def parse_json(content: bytes | str) -> Any:
    """What a JSON document holds.

    Raises:
        ValueError: It is no JSON, is nested too deeply, or holds NaN, infinity or half a character.
    """
    try:
        value = json.loads(content)
    except RecursionError:
        raise ValueError(_too_deep()) from None
    check_depth(value, finite=True)
    return value


def check_depth(tree: Any, *, finite: bool = False) -> None:
    """Check that walking through a parsed document comes to an end.

    Args:
        tree: What was parsed.
        finite: Whether NaN and infinity are refused, too.

    Raises:
        ValueError: It is nested too deeply, has too many values, or holds a number or a text that is none.
    """
    level, num_values = [tree], 1
    for _ in range(MAX_DEPTH):
        if finite and any(isinstance(value, float) and not math.isfinite(value) for value in level):
            raise ValueError("it holds NaN or infinity")
        if not all(is_unicode(text) for value in level for text in _texts(value)):
            raise ValueError("it holds half of a surrogate pair, which no text has")
        level = [child for value in level for child in _children(value)]
        num_values += len(level)
        if not level:
            return
        if num_values > MAX_VALUES:
            raise ValueError(f"it holds more than {MAX_VALUES} values")
    raise ValueError(_too_deep())


def check_nodes(node: yaml.Node) -> None:
    """Check that a YAML document can be built, which its aliases may make larger than any memory.

    Raises:
        ValueError: It has too many values.
    """
    _count_nodes(node, {})


def in_short(error: Exception) -> str:
    """Why content cannot be used, in one line: of a record, its first wrong field."""
    if isinstance(error, RecursionError):
        return _too_deep()
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False)[0]
        return ": ".join([*map(str, first["loc"]), first["msg"]])
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _count_nodes(node: yaml.Node, counted: dict[int, int]) -> int:
    """Nodes below a node, with those that aliases repeat."""
    if id(node) in counted:
        return counted[id(node)]
    counted[id(node)] = MAX_YAML_VALUES + 1  # what an alias to the node itself counts as
    total = 1
    if isinstance(node, yaml.CollectionNode):
        for item in node.value:
            for child in item if isinstance(item, tuple) else (item,):
                total += _count_nodes(child, counted)
    if total > MAX_YAML_VALUES:
        raise ValueError(f"it has more than {MAX_YAML_VALUES} values, or an alias that holds itself")
    counted[id(node)] = total
    return total


def _children(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple | set) else ()


def _texts(value: Any) -> Any:
    """The text that a value is, or those that its keys are."""
    if isinstance(value, str):
        return (value,)
    return [key for key in value if isinstance(key, str)] if isinstance(value, dict) else ()


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8, unlike half of a surrogate pair."""
    return text.isascii() or text.encode(errors="ignore").decode() == text


def _too_deep() -> str:
    return f"it is nested more than {MAX_DEPTH} levels deep"
