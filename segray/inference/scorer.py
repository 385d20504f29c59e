"""Scores of a model that no trial has, such as a soup, on the images that the trials of a run were judged by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from segray import text
from segray.config import RunConfig
from segray.data.batches.loaders import val_loader
from segray.data.cache.shards import Shard
from segray.data.preparation import PreparedData, prepare, with_absolute_paths
from segray.data.splits.split_record import check_splits
from segray.engine.batch_size import val_batch_size
from segray.engine.determinism import deterministic
from segray.engine.validation import Validation
from segray.inference.predictor import find_device
from segray.models import SegmentationModel
from segray.objective import Objective
from segray.storage import SweepFiles


@dataclass(frozen=True)
class Scorer:
    """Scores models by a run's objective, in the same way as its trials were validated."""

    config: RunConfig
    """How models are computed: data, loss, precision, batch size"""
    data: PreparedData
    objective: Objective
    device: torch.device

    @property
    def where(self) -> str:
        """The size that labels are resized to, as the end of a sentence; empty if they have their own size."""
        size_px = self.config.data.resize_px
        return "" if size_px is None else f" on labels resized to {text.value(size_px)}, the size of training"

    def val(self, model: SegmentationModel) -> float | None:
        """Return a model's score on the validation images; moves the model to the device."""
        return self._score(model, self.data.val)

    def test(self, model: SegmentationModel) -> float | None:
        """Return a model's score on the test images, or None if there are none with labels."""
        return self._score(model, self.data.test) if self.data.test.judged_pixels.any() else None

    def _score(self, model: SegmentationModel, images: Shard) -> float | None:
        data = replace(self.data, val=images)
        batch_size = val_batch_size(self.config.data, data, self.config.train.batch_size)
        loader = val_loader(images, batch_size=batch_size, pin_memory=self.device.type == "cuda")
        model = model.to(self.device)
        if self.config.train.channels_last:
            model = model.to(memory_format=torch.channels_last)
        with deterministic(self.config.train.deterministic):
            return Validation(self.config, data, loader, self.device)(model).get(self.objective.name)


def open_scorer(
    files: SweepFiles,
    config: RunConfig,
    *,
    data_root: str | None = None,
    device: str | None = None,
    announce: Callable[[str], None] = print,
) -> Scorer:
    """Open a run's data, to score models on it.

    Args:
        files: The run; the data must give the splits that it recorded.
        config: The config of one of its trials.
        data_root: The data set's folder on this machine; None for the folder that the trial trained on.
        device: Such as cpu or cuda; None takes a GPU if there is one.
        announce: Called with lines on decoding.

    Raises:
        DataError: The data set cannot be read, or is not the run's.
        ResourceError: The device is not there.
    """
    data_config = config.data
    if data_root:
        here = data_config.model_copy(update={"root": data_root, "cache_dir": None})
        data_config = with_absolute_paths(here)
    found = find_device(device)
    splits = files.splits()
    if splits is not None:
        check_splits(splits, data_config)
    config = config.model_copy(update={"data": data_config})
    return Scorer(config, prepare(data_config, announce), files.info().objective, found)
