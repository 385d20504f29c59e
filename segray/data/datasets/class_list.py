"""Which of its class lists a data set is opened with."""

from __future__ import annotations

from collections.abc import Sequence

from segray.config import DataConfig
from segray.errors import ConfigError, unknown_name


def class_list(config: DataConfig, choices: Sequence[str]) -> str:
    """The chosen class list; the first where `data.classes` is empty.

    Raises:
        ConfigError: The data set has no such list.
    """
    if config.classes and config.classes not in choices:
        raise ConfigError(unknown_name(f"class list of {config.dataset} in data.classes", config.classes, choices))
    return config.classes or choices[0]
