"""The record of an evaluation: the scores of a trained model on the images of a split."""

from __future__ import annotations

from typing import Literal

from segray.objective import CLASS_IOU, SCORES
from segray.records import Count, StoredRecord


class ConfidenceBin(StoredRecord):
    """The pixels whose confidence lies in one of equal parts of 0 to 1."""

    share: float
    """Share of the labelled pixels"""
    confidence: float | None
    """Mean probability of the predicted class; None without pixels"""
    accuracy: float | None
    """Share of these pixels that are predicted right; None without pixels"""


class CalibrationScores(StoredRecord):
    """How well a model's confidence tells how often it is right; see ``segray.inference.scores.calibration``."""

    ece: float | None
    """Expected calibration error over all labelled pixels"""
    class_ece: tuple[float | None, ...]
    """The error over the pixels that are predicted as each class; None for a class that is predicted nowhere"""
    bins: tuple[ConfidenceBin, ...]
    """From low confidence to high"""


class ImageScores(StoredRecord):
    """The scores of one image."""

    name: str
    miou: float | None
    """Mean IoU over the classes in the image's labels; None if all of them are void"""
    pixel_accuracy: float | None


class BenchmarkScores(StoredRecord):
    """Scores that the benchmark of a data set defines."""

    title: str
    """Name of the benchmark"""
    note: str = ""
    """How the scores relate to published ones, in a sentence"""
    summary: dict[str, float | None]
    """Name of a score -> its value"""
    table: dict[str, dict[str, float | None]]
    """Class, category or group of images -> name of a score -> value; all rows have the same names"""


class CorruptionScores(StoredRecord):
    """mIoU under corruptions of the photos; see ``segray.inference.corruptions``."""

    clean_miou: float | None
    """mIoU without corruption, of the same images"""
    miou: dict[str, tuple[float | None, ...]]
    """Name of a corruption -> mIoU at each strength, from weak to strong"""

    def kept(self, name: str) -> tuple[float | None, ...]:
        """Return the share of the clean mIoU that is left at each strength of a corruption; None if it has none."""
        clean = self.clean_miou
        return tuple(miou / clean if miou is not None and clean else None for miou in self.miou[name])

    def mean_kept(self) -> float | None:
        """Return the mean share that is left over all corruptions and strengths; None if there is none."""
        shares = [share for name in self.miou for share in self.kept(name) if share is not None]
        return sum(shares) / len(shares) if shares else None


class SplitScores(StoredRecord):
    """Scores of a trained model on the images of a split. Fractions are 0 to 1.

    Earlier versions judged at the size of training, and had only mIoU, IoU and the accuracies.
    """

    split: Literal["train", "val", "test", "all"]
    trial: str
    """Empty if the model's trial is not known"""
    epoch: Count
    num_images: Count
    label_size: Literal["own", "training"] = "training"
    """The size of the labels that all scores but ``miou_at_training_size`` are of"""
    training_px: tuple[int, int] | None = None
    """(height, width) that photos were resized to in training; None if they were not"""
    miou: float | None
    """Mean IoU over the classes in the labels of the split"""
    miou_at_training_size: float | None = None
    """mIoU on labels that are resized as in training, by which trials were compared; None if they were not resized"""
    classes: tuple[str, ...]
    iou: tuple[float | None, ...]
    """IoU per class; None for a class that is not in the mean"""
    loss: float | None = None
    """The training's loss, as ``val_loss`` of an epoch"""
    pixel_accuracy: float | None
    mean_class_accuracy: float | None
    frequency_weighted_iou: float | None
    """Mean of IoU weighted by the classes' shares of the labelled pixels"""
    boundary_miou: float | None = None
    """Mean of ``boundary_iou`` over the classes in the labels of the split"""
    boundary_iou: tuple[float | None, ...] = ()
    """Boundary IoU per class; None for a class that the labels lack"""
    confusion: tuple[tuple[Count, ...], ...] = ()
    """Pixels by true class (row) and predicted class (column)"""
    calibration: CalibrationScores | None = None
    images: tuple[ImageScores, ...] = ()
    """In the order of their names"""
    benchmark: BenchmarkScores | None = None
    corruptions: CorruptionScores | None = None
    cluster_accuracy: float | None = None
    """Accuracy on clusters, as ``val_cluster_accuracy`` of an epoch"""
    recorded_val_miou: float | None
    """The trial's val mIoU at that epoch, when it was trained"""
    dataset: str = ""
    """Name of the data set if it is not the one that the model was trained on"""
    predicted_by: str = ""
    """Windows, test-time augmentation and ensembles that were asked for, in words; empty for one model as it is"""
    device: str
    """cpu, cuda or mps"""
    evaluated_at: str
    """ISO 8601, UTC"""

    def score(self, name: str) -> float | None:
        """Return the score that an epoch's record has under a name, on this split; None if there is none."""
        if name.startswith(CLASS_IOU):
            return dict(zip(self.classes, self.iou, strict=True)).get(name.removeprefix(CLASS_IOU))
        # The fields are named like the scores of a validation.
        value: float | None = getattr(self, name.removeprefix("val_"), None) if name in SCORES else None
        return value

    @property
    def num_in_mean(self) -> int:
        """The number of classes that ``miou`` averages."""
        return sum(iou is not None for iou in self.iou)

    def worst_images(self, number: int) -> list[ImageScores]:
        """Return the images with the lowest mIoU, the lowest first; images without one are left out."""
        scored = [image for image in self.images if image.miou is not None]
        return sorted(scored, key=lambda image: (image.miou, image.name))[:number]
