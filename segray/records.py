"""The records in a sweep's files. Engine and tuning write them, results reads them; `storage.py` lists the files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Final, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from segray.goals import Goals, find_goals
from segray.objective import CLASS_IOU, MIOU, SCORES, Objective

SplitKind = Literal["official", "ratio", "kfold"]
"""Kinds of splits: the data set's own, by shares or counts, or k-fold."""

SweepStatus = Literal["running", "finished", "interrupted"]

OutcomeStatus = Literal["finished", "stopped", "failed", "diverged", "out_of_memory", "infeasible"]

FAILURES: Final = ("failed", "diverged", "out_of_memory", "infeasible")
"""Outcomes after which a trial's config is not recommended, whatever score the trial had reached."""

UNENDED: Final = ("running", "paused", "interrupted")
"""Names for the state of a trial without an outcome of its own."""


STOPPED_EARLY: Final = "stopped early"
"""Beginning of the reason of a trial that a scheduler stopped; --trial-timeout and persons stop trials too."""

STOPPED_BY_REQUEST: Final = "stopped by request"
"""Beginning of the reason of a trial that a person stopped."""

Count = Annotated[int, Field(ge=0, lt=2**63)]
"""A whole number that fits an int64 column"""

Color = tuple[
    Annotated[int, Field(ge=0, le=255)], Annotated[int, Field(ge=0, le=255)], Annotated[int, Field(ge=0, le=255)]
]


class StoredRecord(BaseModel):
    """Base of every record: frozen; refuses unknown keys, NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class EpochRecord(StoredRecord):
    """The results of one completed epoch. Fractions are 0 to 1; a value that could not be computed is None."""

    epoch: Count
    """Number of completed epochs, from 1"""
    attempt: Count = 1
    """Number of the trial's start that trained this epoch, from 1"""
    train_loss: float | None
    """Training loss of the model; with a discriminator, the weighted sum of all losses of the model"""
    train_discriminator_loss: float | None = None
    """Training loss of the discriminator, if there is one"""
    train_real_accuracy: float | None = None
    """Share of patches of real label images that the discriminator takes for real"""
    train_fake_accuracy: float | None = None
    """Share of patches of the model's label images that the discriminator does not take for real"""
    scores: dict[str, float | None]
    """Scores of the validation by name: those of ``SCORES``, and ``val_iou/CLASS`` for each class.

    val_loss is the mean loss of the images, weighted by labelled pixels; it does not depend on batch size or workers.
    val_miou is the mean IoU over the classes in the labels of the validation split; an earlier version also counted
    classes that were only predicted, with an IoU of 0. A class that is not in the mean has the IoU None.
    val_cluster_accuracy and val_cluster_miou are on the K-Means clusters that the model was trained on, if the other
    scores are on palette classes; they compare only between trials with the same clusters."""
    val_iou: tuple[float | None, ...] = ()
    """IoU per class in training-id order, in the records of an earlier version"""
    learning_rate: float
    """Learning rate of the epoch's last step"""
    images_per_second: float
    """Training images per second of training time, all workers together"""
    epoch_seconds: float
    """Time of training and validation"""
    peak_memory_bytes: Count | None
    """Peak memory since the attempt began, the largest over workers: allocated memory on a GPU, else resident memory;
    None if the system cannot tell (Linux can)"""
    best_score: float | None = Field(validation_alias=AliasChoices("best_score", "best_val_miou"))
    """The best value of the sweep's objective so far; mIoU in an earlier version"""
    best_epoch: Count | None

    @model_validator(mode="before")
    @classmethod
    def _gather_scores(cls, values: object) -> object:
        """Take the scores of an earlier version's record, where each was a field."""
        if not isinstance(values, dict) or "scores" in values or "val_miou" not in values:
            return values
        named = {name: values[name] for name in SCORES if name in values}
        return {key: value for key, value in values.items() if key not in SCORES} | {"scores": named}

    def class_iou(self, classes: Sequence[str]) -> tuple[float | None, ...]:
        """Return the IoU of each class; None for a class that is not in the mean."""
        return self.val_iou or tuple(self.scores.get(CLASS_IOU + name) for name in classes)


class Outcome(StoredRecord):
    """The end of a trial."""

    status: OutcomeStatus
    reason: str = ""
    """One sentence for a person"""
    warning: str = ""
    """A problem of the training, whatever its end, such as a discriminator that collapsed"""
    traceback: str = ""
    epochs: Count = 0
    """Completed epochs"""
    best_score: float | None = Field(default=None, validation_alias=AliasChoices("best_score", "best_val_miou"))
    """The best value of the sweep's objective; mIoU in an earlier version"""
    best_epoch: Count | None = None
    seconds: float = 0.0
    """Time a worker group spent on the trial, over all attempts"""

    @property
    def note(self) -> str:
        """Reason and warning together."""
        return "; ".join(part for part in (self.reason, self.warning) if part)


class CheckpointPointer(StoredRecord):
    """The content of best.json and last.json, written after the named checkpoint is complete."""

    checkpoint: str = Field(pattern=r"^checkpoints/[A-Za-z0-9_-]+$")
    """Folder below the trial's folder, such as checkpoints/3-1; never outside, because checkpoints are deleted"""
    record: EpochRecord
    seconds: float
    """Time spent on the trial when the checkpoint was written"""


class Lineage(StoredRecord):
    """The trained model from which a run has its config, or the weights that it starts from."""

    gave: Literal["config", "weights"]
    location: str
    """Path or URL as it was typed, without keys"""
    title: str
    """The model in a few words, such as ``trial 0007 of camvid, epoch 12, val mIoU 56.0 %``"""
    run: str = ""
    """Name of the run; empty for an exported model"""
    trial: str = ""
    epoch: Count | None = None


class WarmTrial(StoredRecord):
    """A trial of an earlier sweep, as a point of this sweep's space with its learning curve."""

    run: str
    """The earlier sweep as it was typed, without keys"""
    trial: str
    values: dict[str, object]
    """Searched dotted key -> value"""
    epochs: Count
    """Length of its schedule"""
    scores: dict[int, float]
    """Epoch -> score of this sweep's objective"""
    is_infeasible: bool = False
    """Whether its values cannot be trained"""


class WarmStart(StoredRecord):
    """The trials that a sweep took from earlier ones, written once at its start."""

    curves: tuple[WarmTrial, ...] = ()
    """Trials that the sampler learns from"""
    first_trials: tuple[dict[str, object], ...] = ()
    """Searched values of trials that are trained after the study's own first trials"""
    summary: tuple[str, ...] = ()
    """A line for each source: what was taken and left"""


class SweepInfo(StoredRecord):
    """The description of a sweep, written once at its start."""

    name: str
    created_at: str
    """ISO 8601, UTC"""
    command: str
    objectives: tuple[Objective, ...] = Field(default=(MIOU,), min_length=1)
    """The numbers that trials are compared by; epochs and early stopping follow the first one"""
    constraints: tuple[str, ...] = ()
    """Bounds on properties, such as ``latency_ms <= 30``; a trial that breaks one is infeasible"""
    base: dict[str, object]
    """The base RunConfig under dotted keys"""
    space: dict[str, str]
    """Searched dotted key -> its distribution in words"""
    recipe: str = ""
    """Name of the recipe that the base and the first trial come from; empty if there is none"""
    recipe_values: dict[str, object] = {}
    """Dotted key -> value of the published recipe, for every key in which the base differs"""
    lineage: tuple[Lineage, ...] = ()
    """The trained models that a single run goes on from"""
    first_trials: tuple[dict[str, object], ...] = ()
    prior: dict[str, object] = {}
    """Values that were believed to be good, beside the first trial's"""
    warm_start: tuple[str, ...] = ()
    """The earlier sweeps whose trials warm_start.json holds, as they were typed, without keys"""
    sampler: str = Field(default="tpe", validation_alias=AliasChoices("sampler", "searcher"))
    """Name of ``SAMPLERS``, or the class of an Optuna sampler of the study's own; ``searcher`` in an earlier version"""
    sampler_options: dict[str, object] = {}
    scheduler: str = "asha"
    scheduler_settings: dict[str, float | None] = {}
    """Grace epochs, None where they are learned, and reduction factor; empty in the sweeps of an earlier version"""
    seed: int = 0
    max_epochs: Count
    """Most epochs of a trial"""
    classes: tuple[str, ...]
    colors: tuple[Color, ...]
    majority_class: str
    majority_scores: dict[str, float | None]
    """Validation scores of predicting the training split's most frequent class everywhere; it has no loss"""
    val_classes: tuple[str, ...] = ()
    """The classes in the labels of the validation split, over which val mIoU is the mean; empty in sweeps of an earlier
    version"""
    encoder_weights: str = ""
    """The choice made for encoder_weights=auto, in words"""
    versions: dict[str, str] = {}
    git_revision: str = ""
    hardware: dict[str, object] = {}

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, values: object) -> object:
        """Take the fields of an earlier version, in which every objective was mIoU."""
        if not isinstance(values, dict) or "majority_val_miou" not in values:
            return values
        kept = {key: value for key, value in values.items() if key not in ("metric", "mode", "majority_val_miou")}
        return kept | {"majority_scores": {MIOU.name: values["majority_val_miou"]}}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.colors) != len(self.classes):
            raise ValueError(f"every class has one colour, but {len(self.classes)} have {len(self.colors)}")
        if self.majority_scores.get(MIOU.name) is None:
            raise ValueError(f"majority_scores must hold {MIOU.name}")
        return self

    @property
    def objective(self) -> Objective:
        """The score that trials are compared by."""
        return self.objectives[0]

    @property
    def goals(self) -> Goals:
        """The objectives and constraints.

        Raises:
            ConfigError: Another version of segray wrote them.
        """
        return find_goals(self.objectives, self.constraints)

    @property
    def baseline_name(self) -> str:
        """The name of the baseline, the first trial, in a sentence."""
        return f"recipe {self.recipe}" if self.recipe else "the first trial"

    @property
    def trains_on_val(self) -> bool:
        """Whether the validation images train too, so that no score on them is unbiased."""
        return bool(self.base.get("data.all_data"))


class SplitRecord(StoredRecord):
    """The images of each split and the rule that divided them: the same for all trials, written once at the start.

    Images are listed by name, with the summed size of photo and label file in bytes.
    """

    dataset: str
    kind: SplitKind
    """The kind of split used, never auto"""
    sizes: tuple[float, float, float] | None = None
    """Shares or counts of train, val and test (ratio)"""
    folds: int | None = None
    """Number of folds (kfold)"""
    fold: int | None = None
    """Fold that validates, from 0 (kfold)"""
    seed: int | None = None
    """Seed of a random division"""
    holdout: float = 0.0
    """Share of the training images held out as test split"""
    train: dict[str, int]
    val: dict[str, int]
    test: dict[str, int]
    """May be empty"""
    labels: dict[str, str] = {}
    """Checked choices of labels in the space: hash of the config values that choose labels -> hash of everything that
    the labels depend on besides the files, such as a K-Means fit"""


class OwnerRecord(StoredRecord):
    """The start of a sweep that may write its files; see `owner.py`."""

    token: str
    """Drawn at random by the start"""
    host: str
    pid: int
    machine: str
    """`segray.process.machine_id`: the machine or container in which the process id is unique"""
    process_start: int
    """`segray.process.ProcessStatus.start`: tells the process from a later one with the same id"""
    released: bool = False
    """Whether the start has ended and released the sweep"""


MAX_TIME: Final = 2.0**36
"""Latest Unix time that a record may name, in the year 4147; a date has limits"""

SILENCE_SECONDS: Final = 60.0
"""Time without a new state after which a reader takes a running sweep for dead; it writes one every few seconds."""


class SweepState(StoredRecord):
    """The state of a sweep, rewritten every few seconds while the sweep runs."""

    status: SweepStatus
    updated_at: float
    """Unix time"""
    seconds: float
    """Wall time over all starts of the sweep"""
    trials: Count
    """Number of trials asked for"""
    driver: str = ""
    """HOST:PID of the process that runs the sweep, for a person to read"""
    repeating: bool = False
    """Whether the search has ended and the sweep runs repeats"""
    paused: tuple[str, ...] = ()
    """Trials that have left their slots and may go on later"""
    held_since: Annotated[float, Field(ge=0, le=MAX_TIME)] | None = None
    """Unix time since which all trials wait, because a person paused the sweep; None while they train"""

    @property
    def is_alive(self) -> bool:
        """Whether the sweep runs, as far as its files tell."""
        return self.status == "running" and time.time() - self.updated_at <= SILENCE_SECONDS
