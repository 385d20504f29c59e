"""Validation: one confusion matrix over all ranks, the mean loss, and a few sample predictions."""

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
    """The results of a model on a split; the same on every rank."""

    confusion: Tensor
    """Pixel counts over the scored classes, (C, C) int64 on the CPU: rows truth, columns prediction"""
    loss: float
    """Mean over images, each weighted by its labelled pixels"""
    samples: dict[int, np.ndarray]
    """Image index -> predicted ids of the scored classes, (H, W) uint8"""
    cluster_accuracy: float | None = None
    """Share of labelled pixels with the right training class; None if the training classes are the scored ones"""
    cluster_miou: float | None = None
    """Mean IoU over the training classes; None if the training classes are the scored ones"""


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
    """Predict every image of a loader once and compare the predictions with the labels.

    Leaves the model in eval mode and every rank with the buffers of rank 0, so that N ranks count the same pixels as
    one process would.

    Args:
        model: The model, without a DistributedDataParallel wrapper, on ``device``.
        loader: This rank's batches; all ranks together load every image once.
        loss: (logits_BCHW, labels_BHW) -> scalar; called on one image at a time, so that the batch size does not
            change the result.
        num_classes: Number of the model's classes, void not counted.
        device: The device to compute on.
        precision: dtype of autocast, from ``resolve_precision``.
        channels_last: Whether photos have the channels-last memory layout; the model should have the same.
        scoring: Given if the model is scored by other classes than it is trained on: predictions are mapped to these
            classes and compared with ``judged_BHW`` of the batches.
        sample_indices: Images whose predictions are kept.
        interrupted: Called before every batch; True ends the evaluation on all ranks.

    Raises:
        Interrupted: ``interrupted`` returned True on some rank.
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
        predictions_BHW = judge(logits_BCHW, labels_BHW, batch.judged_BHW)
        num_images = len(batch.indices)
        for logits_1CHW, labels_1HW in zip(logits_BCHW.chunk(num_images), labels_BHW.chunk(num_images), strict=True):
            loss_sum += loss(logits_1CHW, labels_1HW) * (labels_1HW != IGNORE_INDEX).sum()
        for position, index in enumerate(batch.indices):
            if index in sample_indices:
                samples[index] = predictions_BHW[position].to(torch.uint8).cpu().numpy()

    # Ranks have unequal numbers of batches, so a collective call inside the loop would hang: agree on a stop here.
    if max_over_ranks(torch.tensor(int(stopped), device=device)).item():
        raise Interrupted
    return _reduce(judge, loss_sum, samples)


def _reduce(judge: _Judge, loss_sum: Tensor, samples: dict[int, np.ndarray]) -> Evaluation:
    """Combine the counts, losses and samples of all ranks."""
    trained = sum_over_ranks(judge.trained).cpu()
    mean_loss = sum_over_ranks(loss_sum).item() / max(1, int(trained.sum()))
    all_samples = {index: sample for part in gather_over_ranks(samples) for index, sample in part.items()}
    if judge.scoring is None:
        return Evaluation(confusion=trained, loss=mean_loss, samples=all_samples)
    cluster_scores = scores(trained)
    return Evaluation(
        confusion=sum_over_ranks(judge.scored).cpu(),
        loss=mean_loss,
        samples=all_samples,
        cluster_accuracy=cluster_scores.pixel_accuracy,
        cluster_miou=cluster_scores.miou,
    )


class _Judge:
    """Confusion matrices of the training classes and of the scored classes."""

    def __init__(self, num_classes: int, scoring: Scoring | None, device: torch.device) -> None:
        self.trained = torch.zeros((num_classes, num_classes), dtype=torch.int64, device=device)
        self.scored = self.trained
        self.scoring = scoring
        if scoring is not None:
            num_scored = scoring.label_space.num_classes
            standing = [index for index, class_id in enumerate(scoring.class_of) if class_id is not None]
            self.scored = torch.zeros((num_scored, num_scored), dtype=torch.int64, device=device)
            self._standing = torch.tensor(standing, device=device)
            self._class_of = torch.tensor([scoring.class_of[index] for index in standing], device=device)

    def __call__(self, logits_BCHW: Tensor, labels_BHW: Tensor, judged_BHW: Tensor | None) -> Tensor:
        """Count a batch; return the predicted ids of the scored classes, (B, H, W)."""
        predictions_BHW = _most_likely(logits_BCHW)
        self.trained += confusion_matrix(predictions_BHW, labels_BHW, len(self.trained))
        if self.scoring is None:
            return predictions_BHW
        assert judged_BHW is not None
        mapped_BHW = self._class_of[_most_likely(logits_BCHW[:, self._standing])]
        judged_BHW = judged_BHW.to(mapped_BHW.device, non_blocking=True)
        self.scored += confusion_matrix(mapped_BHW, judged_BHW, len(self.scored))
        return mapped_BHW


def _most_likely(logits_BCHW: Tensor) -> Tensor:
    # On a CPU, max is 4 times as fast as argmax on contiguous logits, and as fast on channels-last ones.
    return logits_BCHW.max(dim=1).indices
