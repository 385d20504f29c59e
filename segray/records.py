"""What a sweep's files hold, written by engine and tuning, read by results; `storage.py` says which file holds what."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

METRIC: Final = "val_miou"
"""The objective of every sweep, maximised."""

SplitKind = Literal["official", "ratio", "kfold"]
"""How images are divided: by the data set itself, by shares or counts, into parts each of which validates once."""

SweepStatus = Literal["running", "finished", "interrupted"]

OutcomeStatus = Literal["finished", "stopped", "failed", "diverged", "out_of_memory"]

FAILURES: Final = ("failed", "diverged", "out_of_memory")
"""Outcomes after which a trial's config is not one to recommend, whatever it had reached."""


Count = Annotated[int, Field(ge=0, lt=2**63)]
"""What fits a column of whole numbers"""

Color = tuple[
    Annotated[int, Field(ge=0, le=255)], Annotated[int, Field(ge=0, le=255)], Annotated[int, Field(ge=0, le=255)]
]


class StoredRecord(BaseModel):
    """Base of every record: frozen; unknown keys, NaN and infinity refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class EpochRecord(StoredRecord):
    """What one completed epoch gave. Fractions are 0 to 1; a value that could not be computed is None."""

    epoch: Count
    """Completed epochs, from 1"""
    attempt: Count = 1
    """Which start of the trial this epoch ran in, from 1"""
    train_loss: float | None
    """What the model minimises; with a discriminator the weighted sum of all its losses"""
    train_discriminator_loss: float | None = None
    """What the discriminator minimises, where there is one"""
    train_real_accuracy: float | None = None
    """Share of patches of the labels' label images that the discriminator takes for real"""
    train_fake_accuracy: float | None = None
    """Share of patches of the model's label images that the discriminator does not take for real"""
    val_loss: float | None
    """Loss of each validation image, averaged by their labelled pixels; does not depend on batch size or workers"""
    val_miou: float | None
    """Mean IoU over the classes that the labels of the validation split hold; an earlier version added those that the
    model predicted, with an IoU of 0"""
    val_iou: tuple[float | None, ...]
    """IoU per class in training-id order; None for a class that is not in the mean"""
    val_pixel_accuracy: float | None
    val_mean_class_accuracy: float | None
    val_cluster_accuracy: float | None = None
    """Pixel accuracy on the clusters that the model was trained on, where the other scores are on palette classes;
    comparable only between trials of the same clusters"""
    val_cluster_miou: float | None = None
    """Mean IoU of these clusters, likewise"""
    learning_rate: float
    """Learning rate of the epoch's last step"""
    images_per_second: float
    """Training images over the time spent training, all workers together"""
    epoch_seconds: float
    """Training and validation"""
    peak_memory_bytes: Count | None
    """Most that was held since this attempt began, the largest over workers: by the allocator on a GPU, else resident
    memory; None where the system cannot tell (Linux can)"""
    best_val_miou: float | None
    best_epoch: Count | None


class Outcome(StoredRecord):
    """How a trial ended."""

    status: OutcomeStatus
    reason: str = ""
    """One sentence for a person"""
    warning: str = ""
    """What to know of the training however it ended, such as a discriminator that had collapsed"""
    traceback: str = ""
    epochs: Count = 0
    """Completed epochs"""
    best_val_miou: float | None = None
    best_epoch: Count | None = None
    seconds: float = 0.0
    """Time a worker group spent on the trial, over all attempts"""

    @property
    def note(self) -> str:
        """Reason and warning together."""
        return "; ".join(part for part in (self.reason, self.warning) if part)


class CheckpointPointer(StoredRecord):
    """Content of best.json and last.json; written after the checkpoint it names is whole."""

    checkpoint: str = Field(pattern=r"^checkpoints/[A-Za-z0-9_-]+$")
    """Folder below the trial's folder, such as checkpoints/3-1; never outside, because checkpoints are deleted"""
    record: EpochRecord
    seconds: float
    """Time spent on the trial when the checkpoint was written"""


class SweepInfo(StoredRecord):
    """What a sweep is: written once, at its start."""

    name: str
    created_at: str
    """ISO 8601, UTC"""
    command: str
    metric: str = METRIC
    mode: Literal["max"] = "max"
    base: dict[str, Any]
    """The base RunConfig under dotted keys"""
    space: dict[str, str]
    """Searched dotted key -> its distribution in words"""
    recipe: str = ""
    """Name of the recipe that the base is, and whose values the first trial has; empty where it is none"""
    recipe_values: dict[str, Any] = {}
    """Dotted key -> value of the published recipe, for every key in which the base is not as that"""
    first_trials: tuple[dict[str, Any], ...] = ()
    sampler: str = Field(default="tpe", validation_alias=AliasChoices("sampler", "searcher"))
    """Name of ``SAMPLERS``, or the class of an Optuna sampler of the study's own; ``searcher`` in an earlier version"""
    sampler_options: dict[str, Any] = {}
    scheduler: str = "asha"
    scheduler_settings: dict[str, float] = {}
    """Grace epochs and reduction factor; empty in the sweeps of an earlier version"""
    seed: int = 0
    max_epochs: Count
    """No trial runs longer"""
    classes: tuple[str, ...]
    colors: tuple[Color, ...]
    majority_class: str
    majority_val_miou: float
    """mIoU of predicting the training split's most frequent class everywhere"""
    val_classes: tuple[str, ...] = ()
    """The classes that the labels of the validation split hold: val mIoU is the mean over these; empty in the sweeps of
    an earlier version"""
    encoder_weights: str = ""
    """What encoder_weights=auto came to, in words"""
    versions: dict[str, str] = {}
    git_revision: str = ""
    hardware: dict[str, Any] = {}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.colors) != len(self.classes):
            raise ValueError(f"every class has one colour, but {len(self.classes)} have {len(self.colors)}")
        return self

    @property
    def baseline_name(self) -> str:
        """What the search is measured against, as the first trial is called in a sentence."""
        return f"recipe {self.recipe}" if self.recipe else "the first trial"


class SplitRecord(StoredRecord):
    """Which images are on which side, and how they came there: the same for all trials; written once, at the start.

    Images are under their names, with the bytes of their photo and label files together.
    """

    dataset: str
    kind: SplitKind
    """What data.split.kind came to"""
    sizes: tuple[float, float, float] | None = None
    """Shares or counts of train, val and test (ratio)"""
    folds: int | None = None
    """(kfold)"""
    fold: int | None = None
    """The part that validates, from 0 (kfold)"""
    seed: int | None = None
    """Where chance had a part"""
    holdout: float = 0.0
    """Share of the training images that were kept as test split"""
    train: dict[str, int]
    val: dict[str, int]
    test: dict[str, int]
    """May be empty"""
    labels: dict[str, str] = {}
    """For each choice of labels that the space holds, as far as it was checked: hash of the config's part that chooses
    them -> hash of all that the labels depend on besides the files, such as a K-Means fit"""


class SplitScores(StoredRecord):
    """What a trial's best checkpoint scores on the images of a split. Fractions are 0 to 1."""

    split: Literal["val", "test"]
    trial: str
    epoch: Count
    num_images: Count
    miou: float | None
    """Mean IoU over the classes that the labels of the split hold"""
    classes: tuple[str, ...]
    iou: tuple[float | None, ...]
    """IoU per class; None for a class that is not in the mean"""
    pixel_accuracy: float | None
    mean_class_accuracy: float | None
    frequency_weighted_iou: float | None
    """IoU averaged by the classes' shares of the labelled pixels"""
    cluster_accuracy: float | None = None
    """As EpochRecord.val_cluster_accuracy has it"""
    recorded_val_miou: float | None
    """The trial's validation figure at that epoch, by which it was chosen"""
    device: str
    """cpu or cuda"""
    evaluated_at: str
    """ISO 8601, UTC"""

    @property
    def num_in_mean(self) -> int:
        """How many classes ``miou`` is the mean of."""
        return sum(iou is not None for iou in self.iou)


class OwnerRecord(StoredRecord):
    """Which start of a sweep may write its files; see `owner.py`."""

    token: str
    """Drawn at random by the start"""
    host: str
    pid: int
    machine: str
    """Says where the id is one: `segray.process.machine_id`"""
    process_start: int
    """Tells the process from a later one with the same id: `segray.process.ProcessStatus.start`"""
    released: bool = False
    """Whether the start has ended, and said so"""


SILENCE_SECONDS: Final = 60.0
"""A running sweep writes its state every few seconds; a reader takes one that is silent for longer for dead."""


class SweepState(StoredRecord):
    """What a sweep is doing; rewritten every few seconds while it runs."""

    status: SweepStatus
    updated_at: float
    """Unix time"""
    seconds: float
    """Wall time over all starts of the sweep"""
    trials: Count
    """Trials asked for"""
    driver: str = ""
    """HOST:PID of the process that runs it, for a person to read"""
    repeating: bool = False
    """Whether the search has come to its end, and what follows is repeats"""

    @property
    def is_alive(self) -> bool:
        """Whether it runs, as far as its files tell."""
        return self.status == "running" and time.time() - self.updated_at <= SILENCE_SECONDS
