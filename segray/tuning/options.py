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
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="With --resume: go on with what has failed, from its last checkpoint")
]
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
        ConfigError: A text is not of that form, or its key is none that may be set, or is given twice.
    """
    values: dict[str, Any] = {}
    for text in texts or ():
        key, value = _key_and_value(text, keys)
        if key in own_options:
            raise ConfigError(f"--set cannot give {key}, which {own_options[key]} gives")
        if key in values:
            raise ConfigError(f"--set must give {key} once, but gives it again as {text!r}; leave one of the two out")
        values[key] = value
    return values


def _key_and_value(text: str, keys: Iterable[str]) -> tuple[str, Any]:
    from segray.config import QUOTING, parse_value

    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set must be KEY=VALUE, such as data.classes=categories, but got {text!r}")
    if key not in keys:
        raise ConfigError(unknown_name("key in --set", key, keys))
    try:
        return key, parse_value(value)
    except ConfigError as error:
        quoted = value.strip().strip("\"'").replace("'", "''")
        example = f": --set \"{key}='{quoted}'\"" if str(error).endswith(QUOTING) else ""
        raise ConfigError(f"the value in --set {text!r} must be YAML as it looks: {error}{example}") from None
