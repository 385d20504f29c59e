"""Command-line options that several commands share; imports nothing heavy, for the sake of --help."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any

import typer

from segray.errors import ConfigError, unknown_name

Storage = Annotated[str | None, typer.Option(help="Path or URL for sweeps (default: runs)")]
WorkersPerTrial = Annotated[int, typer.Option(help="Data-parallel workers of a trial")]
CpusPerWorker = Annotated[float | None, typer.Option(help="CPUs of a worker")]
GpusPerWorker = Annotated[float | None, typer.Option(help="GPUs of a worker; may be 0.5")]
TrialTimeout = Annotated[
    float | None, typer.Option(metavar="MINUTES", help="End a trial that takes longer (default: no limit)")
]
SilenceLimit = Annotated[
    float, typer.Option(metavar="MINUTES", help="Longest wait for a single batch; then its worker counts as hung")
]
EncoderWeights = Annotated[str | None, typer.Option(help="none, imagenet, auto or a file")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A config key, such as data.classes=categories; may be repeated"),
]


def parse_values(
    texts: Sequence[str] | None, keys: Iterable[str], own_options: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """Values by dotted key of ``KEY=VALUE`` texts, the values in YAML.

    Args:
        texts: What was given with --set.
        keys: The keys that there are.
        own_options: Those that are given in another way, and how.

    Raises:
        ConfigError: A text is not of that form, or its key is none that may be set.
    """
    values = dict(_key_and_value(text, keys) for text in texts or ())
    for key in values:
        if key in own_options:
            raise ConfigError(f"--set cannot give {key}, which {own_options[key]} gives")
    return values


def _key_and_value(text: str, keys: Iterable[str]) -> tuple[str, Any]:
    import yaml

    from segray.config import parse_yaml

    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set must be KEY=VALUE, such as data.classes=categories, but got {text!r}")
    if key not in keys:
        raise ConfigError(unknown_name("key in --set", key, keys))
    try:
        return key, parse_yaml(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"the value in --set {text!r} must be YAML: {error}") from None
