"""Sums of all scores over the images of a split; memory does not grow with the images but for a line for each."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from segray.data.datasets.scoring import Scoring, most_likely
from segray.data.files.decode import resize_label
from segray.inference.resizing import logits_at
from segray.inference.scores.benchmarks import benchmark_of
from segray.inference.scores.boundary import BoundaryIou
from segray.inference.scores.calibration import Calibration
from segray.inference.scores.image import JudgedImage
from segray.inference.split_data import LabelledImage, SplitData
from segray.labels import IGNORE_INDEX
from segray.metrics import confusion_matrix, scores
from segray.split_scores import ImageScores


class SplitSums:
    """Sums all scores at the labels' own size.

    Args:
        data: The images, with the classes that predictions are judged by.
        loss: (logits_BCHW, labels_BHW) -> scalar, on the logits' device; None for no loss.
    """

    def __init__(self, data: SplitData, loss: nn.Module | None) -> None:
        self._scoring, self._loss = data.scoring, _LossSum(loss)
        space = data.scoring.label_space
        self._confusion = _no_pixels(space.num_classes)
        self._of_training = _no_pixels(len(data.scoring.class_of))
        self._boundary = BoundaryIou(space.num_classes)
        # A model that is judged by other classes than it is trained on has no probabilities of them.
        self._calibration = None if data.scoring.differs else Calibration(space.num_classes)
        self._benchmark = None if data.scoring.differs else benchmark_of(data.config.dataset, space)
        self._images: list[ImageScores] = []

    def add(self, image: LabelledImage, logits_CHW: Tensor) -> None:
        """Count an image; the logits are resized to the size of its labels."""
        logits_1CHW = logits_at(logits_CHW, image.judged.shape)[None]
        label_1HW = torch.from_numpy(image.label).to(logits_CHW.device).long()[None]
        judged_HW = torch.from_numpy(image.judged).to(logits_CHW.device).long()
        self._loss.add(logits_1CHW, label_1HW)
        if self._scoring.differs:
            self._of_training += confusion_matrix(most_likely(logits_1CHW), label_1HW, len(self._of_training)).cpu()
        found = JudgedImage(
            pair=image.pair,
            logits_CHW=logits_1CHW[0],
            predicted_HW=self._scoring.predict(logits_1CHW)[0],
            judged_HW=judged_HW,
        )
        confusion = confusion_matrix(found.predicted_HW, judged_HW, len(self._confusion)).cpu()
        self._confusion += confusion
        of_image = scores(confusion)
        self._images.append(
            ImageScores(name=image.pair.name, miou=of_image.miou, pixel_accuracy=of_image.pixel_accuracy)
        )
        self._boundary.add(found.predicted_array, found.judged_array)
        for part in (self._calibration, self._benchmark):
            if part is not None:
                part.add(found)

    @property
    def has_labels(self) -> bool:
        """Whether any pixel is not void."""
        return bool(self._confusion.any())

    def scores(self) -> dict[str, Any]:
        """Return the scores as fields of ``SplitScores``."""
        boundary_iou, boundary_miou = self._boundary.result(self._confusion.sum(dim=1).numpy() > 0)
        return {
            "num_images": len(self._images),
            "classes": self._scoring.label_space.names,
            **scores(self._confusion)._asdict(),
            "loss": self._loss.mean(),
            "boundary_iou": boundary_iou,
            "boundary_miou": boundary_miou,
            "confusion": tuple(map(tuple, self._confusion.tolist())),
            "calibration": self._calibration and self._calibration.result(),
            "images": tuple(self._images),
            "benchmark": self._benchmark and self._benchmark.result(),
            "cluster_accuracy": scores(self._of_training).pixel_accuracy if self._scoring.differs else None,
        }


class MiouSums:
    """Sums mIoU alone, at the labels' own size.

    Args:
        scoring: The classes that predictions are judged by.
    """

    def __init__(self, scoring: Scoring) -> None:
        self._scoring = scoring
        self._confusion = _no_pixels(scoring.label_space.num_classes)

    def add(self, image: LabelledImage, logits_CHW: Tensor) -> None:
        """Count an image; the logits are resized to the size of its labels."""
        logits_1CHW = logits_at(logits_CHW, image.judged.shape)[None]
        judged_1HW = torch.from_numpy(image.judged).to(logits_CHW.device)[None]
        self._confusion += confusion_matrix(self._scoring.predict(logits_1CHW), judged_1HW, len(self._confusion)).cpu()

    def miou(self) -> float | None:
        """Return mIoU over all images; None without labels."""
        return scores(self._confusion).miou


class TrainingSizeSums(MiouSums):
    """Sums mIoU on labels that are resized to the size of training, as in validation."""

    def add(self, image: LabelledImage, logits_CHW: Tensor) -> None:
        """Count an image; its labels are resized to the size of the logits."""
        height, width = logits_CHW.shape[-2:]
        super().add(image._replace(judged=resize_label(image.judged, (height, width))), logits_CHW)


class _LossSum:
    """The mean loss of images, each weighted by its labelled pixels, as in validation."""

    def __init__(self, loss: nn.Module | None) -> None:
        self._loss = loss
        self._sum, self._num_labelled = 0.0, 0

    def add(self, logits_1CHW: Tensor, label_1HW: Tensor) -> None:
        if self._loss is None:
            return
        num_labelled = int((label_1HW != IGNORE_INDEX).sum())
        self._sum += float(self._loss(logits_1CHW, label_1HW)) * num_labelled
        self._num_labelled += num_labelled

    def mean(self) -> float | None:
        mean = self._sum / max(self._num_labelled, 1)
        return mean if self._loss is not None and math.isfinite(mean) else None


def _no_pixels(num_classes: int) -> Tensor:
    return torch.zeros((num_classes, num_classes), dtype=torch.int64)
