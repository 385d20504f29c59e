"""Content that someone else may have written or damaged: read within limits, and refused in one sentence."""

from __future__ import annotations

import json
import math
from typing import Any, Final

from pydantic import ValidationError

MAX_DEPTH: Final = 50
"""Levels of lists and mappings inside each other; what segray writes has six."""

MAX_VALUES: Final = 5_000_000
"""Values in one file; names of images are most of them."""


def parse_json(content: bytes | str) -> Any:
    """What a JSON document holds.

    Raises:
        ValueError: It is no JSON, is nested too deeply, or holds NaN or infinity, which JSON does not have.
    """
    try:
        value = json.loads(content)
    except RecursionError:
        raise ValueError(_too_deep()) from None
    check_limits(value)
    return value


def check_limits(tree: Any) -> None:
    """Check that walking through a parsed document comes to an end, and that its numbers are numbers.

    Raises:
        ValueError: It is nested too deeply, has too many values, or holds NaN or infinity.
    """
    level, num_values = [tree], 1
    for _ in range(MAX_DEPTH):
        if any(isinstance(value, float) and not math.isfinite(value) for value in level):
            raise ValueError("it holds NaN or infinity")
        level = [child for value in level for child in _children(value)]
        num_values += len(level)
        if not level:
            return
        if num_values > MAX_VALUES:
            raise ValueError(f"it holds more than {MAX_VALUES} values")
    raise ValueError(_too_deep())


def in_short(error: Exception) -> str:
    """Why content cannot be used, in one line: of a record, its first wrong field."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False)[0]
        return ": ".join([*map(str, first["loc"]), first["msg"]])
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _children(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple | set) else ()


def _too_deep() -> str:
    return f"it is nested more than {MAX_DEPTH} levels deep"
