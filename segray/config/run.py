"""RunConfig: the complete, typed config of one training run. A sweep searches its dotted keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from segray.config.data import DataConfig
from segray.config.document import decode, parse_yaml
from segray.config.mark import NETWORK, TRAINING
from segray.config.model import ModelConfig
from segray.config.option import one_line
from segray.config.section import Section
from segray.config.training import (
    OF_DISCRIMINATOR,
    OF_SEGMENTATION,
    GanConfig,
    LossConfig,
    OptimConfig,
    TrainConfig,
)
from segray.errors import ConfigError, unknown_name
from segray.foreign import read_limited
from segray.values import Json, Values


class RunConfig(Section):
    """The config of one training run."""

    data: DataConfig = DataConfig()
    model: Annotated[ModelConfig, NETWORK] = ModelConfig()
    loss: Annotated[LossConfig, OF_SEGMENTATION] = LossConfig()
    optim: Annotated[OptimConfig, TRAINING] = OptimConfig()
    gan: Annotated[GanConfig, OF_DISCRIMINATOR] = GanConfig()
    train: Annotated[TrainConfig, TRAINING] = TrainConfig()
    seed: Annotated[int, TRAINING] = Field(default=0, ge=0, lt=2**32)
    """Seed of initial weights, data order and augmentation"""

    def flat(self) -> dict[str, object]:
        """Return all values by dotted key, such as ``{"model.encoder": "resnet18", ...}``; JSON types only."""
        return flatten(self.model_dump(mode="json"))

    def with_values(self, values: Values) -> RunConfig:
        """Return a copy with new values for some dotted keys.

        Args:
            values: Dotted key -> new value.

        Raises:
            ConfigError: A key does not exist, or a value breaks its rule.
        """
        if not values:
            return self
        tree = self.model_dump(mode="json")
        for key, value in values.items():
            *parents, last = key.split(".")
            node: object = tree
            for parent in parents:
                node = node.get(parent) if isinstance(node, dict) else None
            if not isinstance(node, dict) or last not in node or isinstance(node[last], dict):
                raise ConfigError(unknown_name("config key", key, self.flat()))
            node[last] = value
        return run_config(tree)


def run_config(tree: object) -> RunConfig:
    """Make a RunConfig from a nested mapping; missing keys take their defaults.

    Raises:
        ConfigError: A key is unknown or a value breaks its rule; the message names every such key.
    """
    try:
        return RunConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("\n".join(_problem(detail) for detail in error.errors())) from None


def read_yaml(path: str | Path) -> RunConfig:
    """Read a RunConfig from a YAML file as ``segray config`` prints it; keys may be left out.

    Raises:
        ConfigError: The file cannot be read, is not YAML, has a key twice, or holds an unknown key or value.
    """
    try:
        tree = parse_yaml(decode(read_limited(Path(path))))
    except OSError as error:
        raise ConfigError(f"cannot read config file {str(path)!r}: {error.strerror}") from None
    except (ConfigError, ValueError) as error:
        raise ConfigError(f"config file {str(path)!r}: {error}") from None
    if tree is not None and not isinstance(tree, dict):
        raise ConfigError(f"{str(path)!r} must hold a mapping of config keys, but holds {type(tree).__name__}")
    return run_config(tree or {})


def to_yaml(config: RunConfig, notes: Mapping[str, str] | None = None) -> str:
    """Return the config as YAML with a line of help above every field; ``read_yaml`` reads the YAML back.

    Args:
        config: The config to write.
        notes: Dotted key -> a further comment above the field.
    """
    return "\n".join(_yaml_lines(config, notes or {})) + "\n"


def _yaml_lines(section: Section, notes: Mapping[str, str], prefix: str = "") -> list[str]:
    lines = []
    indent = "  " * prefix.count(".")
    for name, field in type(section).model_fields.items():
        key, value = prefix + name, getattr(section, name)
        if isinstance(value, Section):
            lines += [f"{indent}# {(type(value).__doc__ or '').strip()}", f"{indent}{name}:"]
            lines += _yaml_lines(value, notes, f"{key}.")
        else:
            plain = section.model_dump(mode="json", include={name})[name]
            text = one_line(plain)
            comments = [field.description, notes[key]] if key in notes else [field.description]
            lines += [f"{indent}# {comment}" for comment in comments] + [f"{indent}{name}: {text}"]
    return lines


def flatten(tree: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Return the leaves of a nested mapping by dotted key."""
    flat: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def nest(flat: Values) -> Json:
    """Return the nested mapping of values given by dotted key."""
    tree: Json = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return tree


def _problem(detail: ErrorDetails) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        section, _, name = key.partition(".")
        if len(detail["loc"]) == 1 and key in RunConfig().flat():
            return f"config key {key!r} must be nested in YAML, as {section}: {{{name}: ...}}"
        return unknown_name("config key", key, RunConfig().flat())
    fix = _quoting_hint(detail["input"]) if detail["type"] == "string_type" else ""
    return f"{key}: {detail['msg'][0].lower()}{detail['msg'][1:]}, but got {detail['input']!r}{fix}"


def _quoting_hint(value: object) -> str:
    """Return how to write a text that YAML has read as another type."""
    if value is None:
        return ", which is how YAML reads null, ~ and nothing at all; if it is meant as text, quote it: 'null' or ''"
    if isinstance(value, bool):
        bare, example = ("yes, on and true", "on") if value else ("no, off and false", "no")
        return f", which is how YAML reads {bare}; if it is meant as text, quote it: '{example}'"
    return "; if it is meant as text, quote it" + ("" if isinstance(value, dict | list) else f": '{value}'")
