"""The folder that holds a trained model: found from a run, a trial, a checkpoint or an exported model folder."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from segray import text
from segray.engine.model_files import MODEL_RECORD, read_model_record
from segray.errors import ConfigError, StorageError, unknown_name
from segray.folder import Folder, open_folder
from segray.model_record import ModelRecord
from segray.objective import MIOU
from segray.records import CheckpointPointer
from segray.storage import SweepFiles
from segray.trial_files import TrialFiles, undamaged


@dataclass(frozen=True)
class ModelLocation:
    """A folder with a trained model, and the trial that trained it if its files are at hand."""

    folder: Folder
    """The checkpoint, or the exported model folder"""
    sweep: SweepFiles | None = None
    trial: TrialFiles | None = None
    pointer: CheckpointPointer | None = None
    record: ModelRecord | None = None
    """The content of model.json, in a folder that segray export wrote"""

    @property
    def title(self) -> str:
        """The model in a few words, such as ``trial 0007, val mIoU 56.0 %``."""
        if self.record is not None:
            return self.record.title
        if self.trial is None or self.pointer is None:
            return f"the model at {self.folder.path}"
        info = undamaged(self.sweep.info) if self.sweep else None
        objective = info.objective if info else MIOU
        where = " on training images" if info and info.trains_on_val else ""
        return f"trial {self.trial.id}, {objective.label} {objective.shown(self.pointer.record.best_score)}{where}"


def find_model(location: str | Path | Folder, trial_id: str | None = None) -> ModelLocation:
    """Find a trained model.

    Args:
        location: A run (its best trial is taken), a trial's folder (its best checkpoint), a checkpoint or a model
            folder; a path, URL or Folder.
        trial_id: A trial or repeat of the run, in place of the best one.

    Raises:
        StorageError: There is no model, or no such trial; the error says which trials exist.
        ConfigError: A trial is named, but the location is no run.
    """
    folder = location if isinstance(location, Folder) else open_folder(location)
    if folder.exists("sweep.json"):
        return _in_sweep(SweepFiles(folder), trial_id)
    if not folder.exists():
        raise StorageError(f"no model at {folder.path!r}: there is no such folder")
    if trial_id is not None:
        raise ConfigError(
            f"--trial chooses a trial of a run, but {folder.path!r} is no run: it has no sweep.json; leave --trial out"
        )
    if folder.is_file(MODEL_RECORD):
        return ModelLocation(folder, record=read_model_record(folder))
    if folder.is_file("model.safetensors") or folder.is_file("label_space.json"):
        return _checkpoint(folder)
    if any(folder.exists(name) for name in ("best.json", "checkpoints", "outcome.json")):
        return _of_trial(_sweep_above(folder), TrialFiles(folder.path.rpartition("/")[2], folder))
    raise StorageError(
        f"no model at {folder.path!r}: a model is the folder of a run (with sweep.json), of a trial (with best.json), "
        "of a checkpoint (with model.safetensors), or a folder that segray export wrote"
    )


def find_trial(files: SweepFiles, trial_id: str) -> tuple[TrialFiles, CheckpointPointer]:
    """Return a trial or repeat of a sweep, and its best checkpoint.

    Raises:
        StorageError: There is no such trial, or it has no checkpoint.
    """
    trials = {trial.id: trial for trial in files.trials_and_repeats()}
    if trial_id not in trials:
        raise StorageError(unknown_name("trial", trial_id, trials))
    found = _of_trial(files, trials[trial_id])
    assert found.trial is not None
    assert found.pointer is not None
    return found.trial, found.pointer


def _in_sweep(files: SweepFiles, trial_id: str | None) -> ModelLocation:
    if trial_id is not None:
        trial, pointer = find_trial(files, trial_id)
    else:
        try:
            trial, pointer = files.best()
        except StorageError as error:
            raise StorageError(f"{error}; {_trials_in_words(files)}") from None
    return ModelLocation(trial.folder.child(pointer.checkpoint), files, trial, pointer)


def _of_trial(files: SweepFiles | None, trial: TrialFiles) -> ModelLocation:
    pointer = trial.pointer("best")
    if pointer is not None:
        return ModelLocation(trial.folder.child(pointer.checkpoint), files, trial, pointer)
    place = f"trial {trial.id}" + (f" of {files.folder.path!r}" if files else "")
    if damage := trial.damage().get("best.json"):
        raise StorageError(f"the checkpoint of {place} cannot be found: {damage}")
    raise StorageError(f"{place} has no checkpoint, because it has completed no epoch; choose another trial")


def _checkpoint(folder: Folder) -> ModelLocation:
    """Return a checkpoint with its trial, if it lies in a trial's folder and the trial's pointers name it."""
    name = folder.path.rpartition("/")[2]
    if not folder.path.endswith(f"/checkpoints/{name}"):
        return ModelLocation(folder)
    trial = TrialFiles(folder.parent.parent.path.rpartition("/")[2], folder.parent.parent)
    for pointer in (trial.pointer("best"), trial.pointer("last")):
        if pointer is not None and pointer.checkpoint == f"checkpoints/{name}":
            return ModelLocation(folder, _sweep_above(trial.folder), trial, pointer)
    return ModelLocation(folder)


def _sweep_above(trial: Folder) -> SweepFiles | None:
    files = SweepFiles(trial.parent.parent)
    return files if files.exists() else None


def _trials_in_words(files: SweepFiles) -> str:
    outcomes = [trial.outcome() for trial in files.trials()]
    if not outcomes:
        return "it has no trials"
    counts = Counter(text.words(outcome.status) if outcome else "not ended" for outcome in outcomes)
    return f"its trials: {', '.join(f'{count} {status}' for status, count in counts.items())}"
