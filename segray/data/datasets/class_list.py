"""The class list that a data set is opened with."""

from __future__ import annotations

from collections.abc import Sequence

from segray.config import DataConfig
from segray.errors import ConfigError, unknown_name


def class_list(config: DataConfig, choices: Sequence[str]) -> str:
    """Return the chosen class list, or the first if `data.classes` is empty.

    Raises:
        ConfigError: The data set has no such list.
    """
    if config.classes and config.classes not in choices:
        raise ConfigError(unknown_name(f"class list of {config.dataset} in data.classes", config.classes, choices))
    return config.classes or choices[0]
