"""Recipe: a published system as a full config, with the source of every value and the differences from the source."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from segray.config import RunConfig, to_yaml


class Setting(NamedTuple):
    """The value of a config key, and its source in a few words."""

    value: object
    source: str


class Difference(NamedTuple):
    """A difference between the published system and segray's, with its reason."""

    published: str
    segray: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A published system."""

    name: str
    summary: str
    """One line"""
    settings: Mapping[str, Setting]
    """Dotted config key -> value and source, for every key that the published system defines"""
    differences: tuple[Difference, ...]
    published: str | None
    """The result that the source publishes"""
    url: str

    @property
    def config(self) -> RunConfig:
        """The full run config, without the folder of its data."""
        return RunConfig().with_values({key: setting.value for key, setting in self.settings.items()})

    @property
    def dataset(self) -> str:
        """The name of the data set that the system was published on."""
        return self.config.data.dataset

    @property
    def sources(self) -> dict[str, str]:
        """The sources of the values, by dotted key."""
        return {key: setting.source for key, setting in self.settings.items()}


PRECISION = Difference(
    "float32 throughout",
    "train.precision auto: bfloat16 autocast where the hardware has it, losses and weights in float32",
    "about twice as fast; train.precision=float32 restores float32",
)
"""A difference of every recipe."""

NORMALISATION = Difference(
    "photos scaled to 0 to 1, or to -1 to 1",
    "photos normalised by ImageNet's mean and standard deviation",
    "segray's models take plain RGB photos, so that every model is used in the same way",
)
"""A difference of the recipes whose system does not use a library's own preprocessing."""


def recipe_yaml(recipe: Recipe) -> str:
    """Return the recipe's config as YAML for ``read_yaml``, with comments on sources and differences."""
    notes = {key: f"source: {source}" for key, source in recipe.sources.items()}
    return "\n".join(_header(recipe)) + "\n\n" + to_yaml(recipe.config, notes)


def _header(recipe: Recipe) -> list[str]:
    run = f"segray train --recipe {shlex.quote(recipe.name)} --data ROOT"
    lines = [
        *_comment(f"{recipe.name}: {recipe.summary}"),
        *_comment(f"Source: {recipe.url}"),
        *_comment(f"Published result: {recipe.published or 'none'}"),
        *_comment(f"Data set: {recipe.dataset}; run it: {run}"),
        "#",
        *_comment("Differences from the published system:"),
    ]
    for published, here, why in recipe.differences:
        lines += _comment(f"- Published: {published}. Here: {here}. Why: {why}.", indent="  ")
    return lines


def _comment(text: str, indent: str = "") -> list[str]:
    # URLs and commands stay whole, so that a reader can copy them.
    return textwrap.wrap(
        text,
        width=118,
        initial_indent="# ",
        subsequent_indent=f"# {indent}",
        break_long_words=False,
        break_on_hyphens=False,
    )
