"""Validation: one confusion matrix over all ranks, the mean loss, and a few sample predictions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from segray.activity import each
from segray.data.batches.loaders import Batch
from segray.data.datasets.scoring import Scoring, most_likely
from segray.engine.distributed import broadcast_buffers, gather_over_ranks, max_over_ranks, sum_over_ranks
from segray.engine.endings import Interrupted
from segray.engine.precision import autocast
from segray.engine.steps import to_device
from segray.labels import IGNORE_INDEX
from segray.metrics import Scores, confusion_matrix, scores


@dataclass(frozen=True)
class Evaluation:
    """The results of a model on a split; the same on every rank."""

    confusion: Tensor
    """Pixel counts over the judged classes, (C, C) int64 on the CPU: rows truth, columns prediction"""
    loss: float
    """Mean over images, each weighted by its labelled pixels"""
    samples: dict[int, np.ndarray]
    """Image index -> predicted ids of the judged classes, (H, W) uint8"""
    training_scores: Scores | None = None
    """Scores over the classes of training; None if these are the judged classes"""


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    loader: Iterable[Batch],
    loss: nn.Module,
    scoring: Scoring,
    device: torch.device,
    *,
    precision: torch.dtype,
    channels_last: bool = True,
    sample_indices: Collection[int] = (),
    interrupted: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """Predict every image of a loader once and compare the predictions with the labels.

    Leaves the model in eval mode and every rank with the buffers of rank 0, so that N ranks count the same pixels as
    one process would.

    Args:
        model: The model, without a DistributedDataParallel wrapper, on ``device``.
        loader: This rank's batches; all ranks together load every image once.
        loss: (logits_BCHW, labels_BHW) -> scalar.
        scoring: The classes that predictions are judged by.
        device: The device to compute on.
        precision: dtype of autocast, from ``resolve_precision``.
        channels_last: Whether photos have the channels-last memory layout; the model should have the same.
        sample_indices: Images whose predictions are kept.
        interrupted: Called before every batch; True ends the evaluation on all ranks.

    Raises:
        Interrupted: ``interrupted`` returned True on some rank.
    """
    broadcast_buffers(model)
    model.eval()
    totals, stopped = _Totals(scoring, loss, sample_indices, device), False
    for batch in each(loader, getting="loading a validation batch", using="validating a batch"):
        if stopped := interrupted():
            break
        photos_BCHW, labels_BHW = to_device(batch, device, channels_last=channels_last)
        with autocast(device, precision):
            logits_BCHW = model(photos_BCHW).float()
        totals.add(batch, logits_BCHW, labels_BHW)
    # Ranks have unequal numbers of batches, so a collective call inside the loop would hang: agree on a stop here.
    _raise_if_any(stopped, device)
    return totals.over_ranks()


def _raise_if_any(stopped: bool, device: torch.device) -> None:
    """Raise Interrupted on all ranks if any rank stopped."""
    if max_over_ranks(torch.tensor(int(stopped), device=device)).item():
        raise Interrupted


class _Totals:
    """Sums over this rank's batches, kept on the device, and the samples among the images."""

    def __init__(
        self, scoring: Scoring, loss: nn.Module, sample_indices: Collection[int], device: torch.device
    ) -> None:
        self._scoring, self._loss, self._sample_indices = scoring, loss, sample_indices
        self._judged = _no_pixels(scoring.label_space.num_classes, device)
        self._trained = _no_pixels(len(scoring.class_of), device)
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self._num_labelled = torch.zeros((), dtype=torch.int64, device=device)
        self._samples: dict[int, np.ndarray] = {}

    def add(self, batch: Batch, logits_BCHW: Tensor, labels_BHW: Tensor) -> None:
        """Count a batch; its labels are on the device, its judged ids need not be."""
        predictions_BHW = self._scoring.predict(logits_BCHW)
        if self._scoring.differs:
            assert batch.judged_BHW is not None
            judged_BHW = batch.judged_BHW.to(labels_BHW.device, non_blocking=True)
            self._trained += confusion_matrix(most_likely(logits_BCHW), labels_BHW, len(self._trained))
        else:
            judged_BHW = labels_BHW
        self._judged += confusion_matrix(predictions_BHW, judged_BHW, len(self._judged))
        # The loss is taken of one image at a time, so that the batch size does not change the result.
        num_images = len(batch.indices)
        for logits_1CHW, labels_1HW in zip(logits_BCHW.chunk(num_images), labels_BHW.chunk(num_images), strict=True):
            num_labelled = (labels_1HW != IGNORE_INDEX).sum()
            self._loss_sum += self._loss(logits_1CHW, labels_1HW) * num_labelled
            self._num_labelled += num_labelled
        for index, prediction_HW in zip(batch.indices, predictions_BHW, strict=True):
            if index in self._sample_indices:
                self._samples[index] = prediction_HW.to(torch.uint8).cpu().numpy()

    def over_ranks(self) -> Evaluation:
        """Combine the sums and samples of all ranks."""
        num_labelled = int(sum_over_ranks(self._num_labelled))
        return Evaluation(
            confusion=sum_over_ranks(self._judged).cpu(),
            loss=sum_over_ranks(self._loss_sum).item() / max(1, num_labelled),
            samples={index: sample for part in gather_over_ranks(self._samples) for index, sample in part.items()},
            training_scores=scores(sum_over_ranks(self._trained)) if self._scoring.differs else None,
        )


def _no_pixels(num_classes: int, device: torch.device) -> Tensor:
    return torch.zeros((num_classes, num_classes), dtype=torch.int64, device=device)
