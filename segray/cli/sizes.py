"""Sizes on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segray.errors import ConfigError

if TYPE_CHECKING:
    from segray.config import SizePx


def parse_size(option: str, text: str) -> SizePx:
    """Parse ``256x512`` into (height, width).

    Raises:
        ConfigError: The text has another form, or a number is 0.
    """
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise ConfigError(f"{option} must be HEIGHTxWIDTH in pixels, such as 256x512, at least 1, but got {text!r}")
    return int(height), int(width)
