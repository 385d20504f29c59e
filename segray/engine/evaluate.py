"""Validation: one confusion matrix over all ranks, the mean loss, and a few predictions to look at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from segray.activity import each
from segray.data.batches.loaders import Batch
from segray.data.datasets.dataset import Scoring
from segray.engine.distributed import broadcast_buffers, gather_over_ranks, max_over_ranks, sum_over_ranks
from segray.engine.endings import Interrupted
from segray.engine.precision import autocast
from segray.engine.steps import to_device
from segray.labels import IGNORE_INDEX
from segray.metrics import confusion_matrix, scores


@dataclass(frozen=True)
class Evaluation:
    """What a model does on a split; the same on every rank."""

    confusion: Tensor
    """(C, C) int64 on the CPU: rows truth, columns prediction, in pixels, of the classes that are judged by"""
    loss: float
    """Mean over images, each weighted by its labelled pixels"""
    samples: dict[int, np.ndarray]
    """Image index -> predicted ids of the classes that are judged by, (H, W) uint8"""
    cluster_accuracy: float | None = None
    """Share of labelled pixels whose class of training is right, where that is not what is judged by"""
    cluster_miou: float | None = None
    """Mean IoU of the classes of training, where these are not what is judged by"""


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    loader: Iterable[Batch],
    loss: nn.Module,
    num_classes: int,
    device: torch.device,
    *,
    precision: torch.dtype,
    channels_last: bool = True,
    scoring: Scoring | None = None,
    sample_indices: Collection[int] = (),
    interrupted: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """Predict every image of a loader once and compare with its label.

    Leaves the model in eval mode, with the buffers of rank 0 on every rank, so that N ranks count the same
    pixels as one.

    Args:
        model: The model itself, not wrapped, on ``device``.
        loader: This rank's batches; over all ranks every image comes once.
        loss: (logits_BCHW, labels_BHW) -> scalar; called for one image at a time, so that batches do not matter.
        num_classes: Number of the model's classes, void not counted.
        device: Where to compute.
        precision: dtype of autocast, as ``resolve_precision`` gives it.
        channels_last: Whether photos are laid out channels-last, as the model should be then.
        scoring: Where predictions are not judged by the labels: they are mapped to its classes, and compared with the
            batches' truth.
        sample_indices: Images whose predictions are kept.
        interrupted: Asked before every batch; True ends the evaluation on all ranks.

    Raises:
        Interrupted: ``interrupted`` gave True on some rank.
    """
    broadcast_buffers(model)
    model.eval()
    judge = _Judge(num_classes, scoring, device)
    loss_sum = torch.zeros((), dtype=torch.float64, device=device)
    samples: dict[int, np.ndarray] = {}
    stopped = False
    for batch in each(loader, getting="loading a validation batch", using="validating a batch"):
        stopped = interrupted()
        if stopped:
            break
        photos_BCHW, labels_BHW = to_device(batch, device, channels_last=channels_last)
        with autocast(device, precision):
            logits_BCHW = model(photos_BCHW).float()
        predictions_BHW = judge(logits_BCHW, labels_BHW, batch.truth_BHW)
        num_images = len(batch.indices)
        for logits_1CHW, labels_1HW in zip(logits_BCHW.chunk(num_images), labels_BHW.chunk(num_images), strict=True):
            loss_sum += loss(logits_1CHW, labels_1HW) * (labels_1HW != IGNORE_INDEX).sum()
        for position, index in enumerate(batch.indices):
            if index in sample_indices:
                samples[index] = predictions_BHW[position].to(torch.uint8).cpu().numpy()

    # Ranks have unequal numbers of batches, so a stop is only agreed on here: no collective inside the loop.
    if max_over_ranks(torch.tensor(int(stopped), device=device)).item():
        raise Interrupted
    trained = sum_over_ranks(judge.trained).cpu()
    of_clusters = None if scoring is None else scores(trained)
    return Evaluation(
        confusion=trained if scoring is None else sum_over_ranks(judge.scored).cpu(),
        loss=sum_over_ranks(loss_sum).item() / max(1, int(trained.sum())),
        samples={index: sample for part in gather_over_ranks(samples) for index, sample in part.items()},
        cluster_accuracy=of_clusters and of_clusters.pixel_accuracy,
        cluster_miou=of_clusters and of_clusters.miou,
    )


class _Judge:
    """Counts pixels by true and predicted class: those of training, and those that predictions are judged by."""

    def __init__(self, num_classes: int, scoring: Scoring | None, device: torch.device) -> None:
        self.trained = torch.zeros((num_classes, num_classes), dtype=torch.int64, device=device)
        self.scored = self.trained
        self._scoring = scoring
        if scoring is not None:
            num_scored = scoring.label_space.num_classes
            standing = [index for index, class_id in enumerate(scoring.class_of) if class_id is not None]
            self.scored = torch.zeros((num_scored, num_scored), dtype=torch.int64, device=device)
            self._standing = torch.tensor(standing, device=device)
            self._class_of = torch.tensor([scoring.class_of[index] for index in standing], device=device)

    def __call__(self, logits_BCHW: Tensor, labels_BHW: Tensor, truth_BHW: Tensor | None) -> Tensor:
        """Count a batch; gives the predicted ids of the classes that are judged by, (B, H, W)."""
        predictions_BHW = _most_likely(logits_BCHW)
        self.trained += confusion_matrix(predictions_BHW, labels_BHW, len(self.trained))
        if self._scoring is None:
            return predictions_BHW
        assert truth_BHW is not None
        mapped_BHW = self._class_of[_most_likely(logits_BCHW[:, self._standing])]
        truth_BHW = truth_BHW.to(mapped_BHW.device, non_blocking=True)
        self.scored += confusion_matrix(mapped_BHW, truth_BHW, len(self.scored))
        return mapped_BHW


def _most_likely(logits_BCHW: Tensor) -> Tensor:
    # On a CPU max is 4 times as fast as argmax where logits are contiguous, as fast where they are channels-last.
    return logits_BCHW.max(dim=1).indices
