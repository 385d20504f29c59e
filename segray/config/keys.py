"""Answer from the marks on the fields what each config key decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, TypeVar

from segray.config.data import DataConfig
from segray.config.mark import Decides, Mark
from segray.config.run import RunConfig, flatten
from segray.config.section import Section

AnySection = TypeVar("AnySection", bound=Section)

FREE_ON_RESUME: Final = (Decides.PLACE, Decides.LOADING)
"""Decisions that a resume may change: they say where a sweep runs, not what it trains."""

SAME_IN_ALL_TRIALS: Final = (Decides.PLACE, Decides.IMAGES, Decides.LABELS, Decides.SPLITS)
"""Decisions that trials must share to be comparable: images, sizes of labels, and classes."""

NOT_DECODED: Final = (Decides.SPLITS, Decides.SAMPLING, Decides.LOADING)
"""Decisions that do not affect decoded images."""

READ_LABELS: Final = (Decides.LABELS, Decides.TARGETS)
"""Decisions that affect the ids of a decoded label."""


@lru_cache
def marks() -> Mapping[str, Mark]:
    """Return the mark of every dotted key, in the order of the config."""
    return MappingProxyType(dict(_marks(RunConfig, "", None)))


@lru_cache
def keys_deciding(*decisions: Decides) -> tuple[str, ...]:
    """Return the dotted keys that make any of these decisions, in the order of the config."""
    return tuple(key for key, mark in marks().items() if mark.decides in decisions)


def values_deciding(data: DataConfig, *decisions: Decides) -> dict[str, object]:
    """Return the values of section ``data`` that make any of these decisions, by dotted key; JSON types only."""
    values = flatten({"data": data.model_dump(mode="json")})
    return {key: values[key] for key in keys_deciding(*decisions) if key in values}


def without(data: DataConfig, *decisions: Decides) -> DataConfig:
    """Return section ``data`` with the fields that make any of these decisions at their defaults."""
    return _without(data, "data.", frozenset(keys_deciding(*decisions)))


def _marks(section: type[Section], prefix: str, around: Mark | None) -> Iterator[tuple[str, Mark]]:
    for name, field in section.model_fields.items():
        mark = next((item for item in field.metadata if isinstance(item, Mark)), around)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _marks(field.annotation, f"{prefix}{name}.", mark)
        elif mark is None:
            raise TypeError(f"{section.__name__}.{name} needs a Mark that says what it decides")
        else:
            yield prefix + name, mark


def _without(section: AnySection, prefix: str, keys: frozenset[str]) -> AnySection:
    changes: dict[str, object] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            changes[name] = _without(value, f"{prefix}{name}.", keys)
        elif prefix + name in keys:
            changes[name] = field.get_default()
    return section.model_copy(update=changes)
