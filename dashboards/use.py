"""The part of the report on the use of the best model: its folder, commands to copy, and its full config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from segray.config import RunConfig, run_config, to_yaml
from segray.config.keys import keys_deciding
from segray.config.mark import Decides
from segray.errors import SegrayError
from segray.results import SweepResults
from segray.results.next_steps import model_folder, next_commands
from segray.trial_files import TrialFiles


@dataclass(frozen=True)
class Use:
    """Next steps with the best model."""

    folder: str
    """The model's folder; empty if its checkpoint is gone"""
    commands: tuple[tuple[str, str], ...]
    """Purpose of each command, and the command"""
    config: str
    """The model's full config as YAML, without paths of this machine; empty if it cannot be read"""
    config_file: str
    """Name of the file to save the config as"""


def describe_use(results: SweepResults, location: str) -> Use | None:
    """Describe how to use a sweep's best model; None if there is none.

    Args:
        results: The sweep.
        location: Its folder or URL as a person typed it.
    """
    best = results.best_trial()
    if best is None:
        return None
    trial = results.files.trial(best["id"])
    folder = model_folder(location, trial)
    commands = next_commands(
        location, has_test_images=results.num_test_images > 0, trains_on_val=results.info.trains_on_val
    )
    return Use(folder, commands, _config(trial), f"{results.info.name}-{trial.id}.yaml")


def _config(trial: TrialFiles) -> str:
    try:
        tree = trial.config()
        return "" if tree is None else to_yaml(_without_paths(run_config(tree)))
    except SegrayError:  # the file is damaged, or from another version
        return ""


def _without_paths(config: RunConfig) -> RunConfig:
    """Return a config that tells nothing about a person's machine: reports are shared."""
    flat, default = config.flat(), RunConfig().flat()
    places = {key: default[key] for key in keys_deciding(Decides.PLACE)}
    paths = {key: PurePath(str(value)).name for key, value in flat.items() if is_path(value) and key not in places}
    return config.with_values(places | paths)


def is_path(value: object) -> bool:
    """Return whether a config value is the place of a file: an absolute path or a URL."""
    return isinstance(value, str) and (value.startswith("/") or "://" in value)
