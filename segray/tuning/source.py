"""The trained model that a run goes on from: it gives the run's config, or the weights that the run starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from segray.config import RunConfig, run_config
from segray.errors import ConfigError, StorageError
from segray.folder import Folder, location_below, open_folder
from segray.inference.location import ModelLocation, find_model
from segray.objective import MIOU, Objective
from segray.records import Lineage, SweepInfo
from segray.shown import redacted


@dataclass(frozen=True)
class TrainedConfig:
    """The full config that a trained model was trained with."""

    config: RunConfig
    lineage: Lineage
    objective: Objective
    """The score that its best epoch was chosen by"""


def trained_config(location: str, trial_id: str | None = None) -> TrainedConfig:
    """Return the full config that a trained model was trained with.

    Args:
        location: A run (its best trial), a trial, a checkpoint or a model folder; a path or URL.
        trial_id: A trial or repeat of the run, in place of the best one.

    Raises:
        StorageError: There is no model, no such trial, or its config cannot be used.
        ConfigError: A trial is named, but the location is no run.
    """
    found = find_model(location, trial_id)
    tree = found.trial.config() if found.trial else found.folder.read_json("config.json")
    if tree is None:
        raise StorageError(f"no config at {found.folder.path!r}: a trained model must have its config.json beside it")
    try:
        objective = found.sweep.info().objective if found.sweep else MIOU
        return TrainedConfig(run_config(tree), _lineage("config", location, found), objective)
    except ConfigError as error:
        raise StorageError(
            f"the config of the model at {found.folder.path!r} cannot be used by this version of segray: {error}"
        ) from None


def trained_weights(location: str) -> tuple[str, Lineage]:
    """Return the value of ``model.weights`` that starts a run from a trained model, and where it comes from.

    Args:
        location: A run (its best trial), a trial, a checkpoint or a model folder; a path or URL.

    Raises:
        StorageError: There is no model.
        ConfigError: The URL holds a key, which the run's files would keep.
    """
    if redacted(location) != location:
        raise ConfigError(
            "--weights must be a path or a URL without login and key, since the run's files keep it, but got "
            f"{redacted(location)!r}; give the key by an environment variable"
        )
    found = find_model(location)
    return _place(found.folder, location), _lineage("weights", location, found)


def recorded_lineage(
    begun: SweepInfo | None, gave: Literal["config", "weights"], location: str, trial_id: str | None = None
) -> Lineage | None:
    """Return what the first start of a run took from a location; None if the run is new or took it elsewhere.

    A resume takes the same again, even if the location has another best trial by now, or is gone.
    """
    for lineage in begun.lineage if begun else ():
        is_trial = trial_id in (None, lineage.trial)
        if lineage.gave == gave and lineage.location == redacted(location) and is_trial:
            return lineage
    return None


def _lineage(gave: Literal["config", "weights"], location: str, found: ModelLocation) -> Lineage:
    typed = redacted(location)
    if found.trial is None or found.pointer is None:
        name = typed.partition("?")[0].rstrip("/").rpartition("/")[2]
        return Lineage(gave=gave, location=typed, title=f"the model in {name}")
    run = found.sweep.name if found.sweep else ""
    epoch = found.pointer.record.epoch
    trial, _, score = found.title.partition(", ")
    of_run = f" of {run}" if run else ""
    title = f"{trial}{of_run}, epoch {epoch}, {score}"
    return Lineage(gave=gave, location=typed, title=title, run=run, trial=found.trial.id, epoch=epoch)


def _place(folder: Folder, typed: str) -> str:
    """Return an absolute path or a URL of a folder at or below a location, which workers on other nodes can open."""
    if folder.is_local:
        return folder.path
    below = folder.path.removeprefix(open_folder(typed).path).strip("/")
    return location_below(typed, below) if below else typed
