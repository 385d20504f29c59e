"""Read content that someone else may have written or damaged: within limits, and refused in one sentence."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import yaml
from PIL import Image
from pydantic import ValidationError

MAX_DEPTH: Final = 50
"""Most levels of nested lists and mappings; segray's own files have six."""

MAX_VALUES: Final = 5_000_000
"""Most values in one file; most of them are names of images."""

MAX_TEXT_BYTES: Final = 10_000_000
"""Largest size of a file that a person writes."""

MAX_YAML_VALUES: Final = 200_000
"""Most values of a YAML document, counting each repetition by an alias: nine aliases on nine levels are 400 million."""

PICTURE_DAMAGE: Final = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError),
    # Tags of a TIFF that are missing, of another kind, or out of range.
    *(TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, MemoryError),
)
"""Errors that Pillow raises for damaged files. OpenCV is no alternative: it returns a full array for a cut JPEG."""


def read_limited(path: Path) -> bytes:
    """Return the content of a file that a person wrote.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is too long.
    """
    with path.open("rb") as file:
        content = file.read(MAX_TEXT_BYTES + 1)
    if len(content) > MAX_TEXT_BYTES:
        raise ValueError(f"it is longer than {MAX_TEXT_BYTES} bytes")
    return content


def parse_json(content: bytes | str) -> object:
    """Return the content of a JSON document.

    Raises:
        ValueError: The document is no JSON, is nested too deeply, or holds NaN, infinity or half a character.
    """
    try:
        value = json.loads(content)
    except RecursionError:
        raise ValueError(_too_deep()) from None
    check_depth(value, finite=True)
    return value


def check_depth(tree: object, *, finite: bool = False) -> None:
    """Check that a parsed document is small enough to walk through.

    Args:
        tree: The parsed document.
        finite: Whether to refuse NaN and infinity, too.

    Raises:
        ValueError: The document is nested too deeply, has too many values, or holds NaN, infinity or half a character.
    """
    level: list[object] = [tree]
    num_values = 1
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
    """Check that a YAML document can be built: aliases may make it larger than any memory.

    Raises:
        ValueError: The document has too many values.
    """
    _count_nodes(node, {})


def in_short(error: Exception) -> str:
    """Return in one line why content cannot be used; for a record, name its first wrong field."""
    if isinstance(error, RecursionError):
        return _too_deep()
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False)[0]
        return ": ".join([*map(str, first["loc"]), first["msg"]])
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _count_nodes(node: yaml.Node, counted: dict[int, int]) -> int:
    """Return the number of nodes from a node down, counting each repetition by an alias."""
    if id(node) in counted:
        return counted[id(node)]
    counted[id(node)] = MAX_YAML_VALUES + 1  # until it is known, so that an alias inside its own node is refused
    total = 1
    if isinstance(node, yaml.CollectionNode):
        for item in node.value:
            for child in item if isinstance(item, tuple) else (item,):
                total += _count_nodes(child, counted)
    if total > MAX_YAML_VALUES:
        raise ValueError(f"it has more than {MAX_YAML_VALUES} values, or an alias that holds itself")
    counted[id(node)] = total
    return total


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple | set) else ()


def _texts(value: object) -> Iterable[str]:
    """Return the value if it is a text, or the texts among its keys."""
    if isinstance(value, str):
        return (value,)
    return [key for key in value if isinstance(key, str)] if isinstance(value, dict) else ()


def is_unicode(text: str) -> bool:
    """Return whether a text can be written as UTF-8, unlike half of a surrogate pair."""
    return text.isascii() or text.encode(errors="ignore").decode() == text


def _too_deep() -> str:
    return f"it is nested more than {MAX_DEPTH} levels deep"
