"""The option --set: config keys and values on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from segray.errors import ConfigError, unknown_name

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A config key, such as data.classes=categories; may be repeated"),
]


def parse_values(texts: Sequence[str] | None, keys: Sequence[str]) -> dict[str, Any]:
    """Values by dotted key of ``KEY=VALUE`` texts, the values in YAML.

    Args:
        texts: What was given with --set.
        keys: The keys that may be set.

    Raises:
        ConfigError: A text is not of that form, or its key is none of those.
    """
    return dict(_key_and_value(text, keys) for text in texts or ())


def _key_and_value(text: str, keys: Sequence[str]) -> tuple[str, Any]:
    import yaml

    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set must be KEY=VALUE, such as data.classes=categories, but got {text!r}")
    if key not in keys:
        raise ConfigError(unknown_name("key in --set", key, keys))
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"the value in --set {text!r} must be YAML: {error}") from None
