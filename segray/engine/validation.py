"""The validation of a run's model on the validation split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import nn

from segray.config import RunConfig
from segray.data.batches.loaders import Batch
from segray.data.preparation import PreparedData
from segray.engine.evaluate import Evaluation, evaluate
from segray.engine.precision import resolve_precision
from segray.engine.samples import sample_indices, sample_name
from segray.losses import build_loss
from segray.metrics import scores, scores_by_name


class Validation:
    """The validation of a trial's model, in fit() and after training; keeps the sample predictions of the last call.

    Args:
        config: The trial's run.
        data: The trial's data; the loader loads its ``val``.
        loader: This rank's validation batches.
        device: The model's device.
        interrupted: Called before every batch; True ends the validation.
    """

    def __init__(
        self,
        config: RunConfig,
        data: PreparedData,
        loader: Iterable[Batch],
        device: torch.device,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._config, self._data, self._loader, self._device = config, data, loader, device
        self._interrupted = interrupted
        self._loss = build_loss(config.loss, data.train.class_pixels).to(device)
        self._indices = sample_indices(data.val)
        self.samples: dict[str, np.ndarray] = {}

    def __call__(self, model: nn.Module) -> dict[str, float | None]:
        """Evaluate a model on the validation split; return the scores by name, as an epoch's record has them."""
        return epoch_scores(self.evaluate(model), self._data.scored_space.names)

    def evaluate(self, model: nn.Module) -> Evaluation:
        """Evaluate a model on the validation split."""
        evaluation = evaluate(
            model,
            self._loader,
            self._loss,
            self._data.scoring,
            self._device,
            precision=resolve_precision(self._config.train.precision, self._device),
            channels_last=self._config.train.channels_last,
            sample_indices=self._indices,
            interrupted=self._interrupted,
        )
        self.samples = {sample_name(self._data.val, index): sample for index, sample in evaluation.samples.items()}
        return evaluation


def epoch_scores(evaluation: Evaluation, classes: Sequence[str]) -> dict[str, float | None]:
    """Return the scores of an epoch's record by name.

    Args:
        evaluation: The results on the validation split.
        classes: The names of the scored classes in the order of their ids.
    """
    loss = evaluation.loss if math.isfinite(evaluation.loss) else None
    found = {"val_loss": loss, **scores_by_name(scores(evaluation.confusion), classes)}
    if evaluation.training_scores:
        found["val_cluster_accuracy"] = evaluation.training_scores.pixel_accuracy
        found["val_cluster_miou"] = evaluation.training_scores.miou
    return found
