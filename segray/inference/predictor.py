"""Predictor: a trained model that predicts photos of any size, in the way in which it was trained and validated.

Shape suffixes: B images, C channels or classes, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segray.config import RunConfig, SizePx, TrainConfig
from segray.data.files.decode import resize_photo
from segray.data.files.photo import Photo, photo_array
from segray.engine.checkpoint import load_checkpoint
from segray.engine.precision import autocast, resolve_precision
from segray.errors import ConfigError, ResourceError
from segray.folder import Folder
from segray.foreign import in_short
from segray.inference.averages import Ensemble, augmented
from segray.inference.location import ModelLocation, find_model
from segray.inference.prediction import Prediction
from segray.inference.resizing import labels_at, probabilities_at
from segray.inference.windows import Forward, Windows, check_window
from segray.labels import LabelSpace
from segray.models import SegmentationModel

LARGE_PHOTO_PIXELS: Final = 2**24
"""Photos with more pixels are predicted in windows, because a network's memory grows with them: a U-Net with ResNet-18
takes about 5 GB for this size."""

LARGE_PHOTO_WINDOW_PX: Final = (1024, 1024)


class Predictor:
    """A trained model, or several, with everything that turns a photo into labels at the photo's own size.

    The photo is resized to the size that the model was trained on, if there is one (``data.resize_px``); the logits are
    resized back. Photos that are larger than ``LARGE_PHOTO_PIXELS`` at that size are predicted in windows.

    Args:
        models: Models in eval mode that share classes and sizes; the probabilities of several are averaged.
        config: The run's config; with several models, that of the first.
        label_space: The classes.
        device: Where to compute, such as cuda, cuda:1, mps or cpu; None takes a GPU if there is one.
        window_px: (height, width) of sliding windows; None predicts whole photos.
        overlap: Least share of a window's side that neighbours share.
        tta: Test-time augmentation: ``flip`` and factors of the photo's size, comma-separated.
        locations: Where each model was found; empty if they were not loaded from files.
        train_configs: How each model is computed (``precision``, ``channels_last``); empty for ``config`` of all.
        title: The models in a few words; empty for what ``location`` says.

    Raises:
        ConfigError: A window, the overlap, or the augmentation cannot work.
        ResourceError: The device is not there.
    """

    def __init__(
        self,
        models: Sequence[SegmentationModel],
        config: RunConfig,
        label_space: LabelSpace,
        *,
        device: str | torch.device | None = None,
        window_px: SizePx | None = None,
        overlap: float = 0.5,
        tta: str = "",
        locations: Sequence[ModelLocation] = (),
        train_configs: Sequence[TrainConfig] = (),
        title: str = "",
    ) -> None:
        self.config = config
        self.label_space = label_space
        self.locations = tuple(locations)
        self.device = find_device(device)
        self.precision = resolve_precision(config.train.precision, self.device)
        self._members = [
            _Member.on_device(model, train, self.device)
            for model, train in zip(models, train_configs or [config.train] * len(models), strict=True)
        ]
        self._title = title
        self.window_px, self.overlap, self.tta = window_px, overlap, tta
        check_window(window_px or LARGE_PHOTO_WINDOW_PX, overlap)
        self._whole = self._forward()

    @property
    def models(self) -> list[SegmentationModel]:
        """The models, on the device."""
        return [member.model for member in self._members]

    @property
    def location(self) -> ModelLocation | None:
        """Where the model was found; with several, the first."""
        return self.locations[0] if self.locations else None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of training ids."""
        return self.label_space.names

    @property
    def title(self) -> str:
        """The model in a few words, such as ``trial 0007, val mIoU 56.0 %``."""
        if self._title:
            return self._title
        return self.location.title if self.location else f"{self.config.model.name} model"

    @property
    def way(self) -> str:
        """How photos are predicted, such as ``windows of 512x1024, flip,0.75``; empty for one model on whole photos."""
        windows = "" if self.window_px is None else f"windows of {self.window_px[0]}x{self.window_px[1]}"
        ensemble = self.title if len(self.models) > 1 else ""
        return ", ".join(part for part in (ensemble, windows, self.tta) if part)

    def predict(self, photo: Photo, *, probabilities: bool = False) -> Prediction:
        """Predict a photo.

        Args:
            photo: A file, a Pillow image, or an array (height, width, 3) in RGB order; also grey, RGBA, 16-bit, CMYK.
            probabilities: Whether the prediction also holds the probability of every class.

        Raises:
            DataError: The photo cannot be read, decoded or used.
        """
        return next(self.predict_all([photo], probabilities=probabilities))

    def predict_all(
        self, photos: Iterable[Photo], *, batch_size: int = 1, probabilities: bool = False
    ) -> Iterator[Prediction]:
        """Yield the predictions of photos in their order.

        Args:
            photos: Photos as ``predict`` takes them; read as they are needed.
            batch_size: Most photos that the model gets at once; only photos of one size share a batch.
            probabilities: Whether predictions also hold the probability of every class.

        Raises:
            DataError: A photo cannot be read, decoded or used.
        """
        arrays = map(photo_array, photos)
        while batch := list(islice(arrays, batch_size)):
            for photo_HWC, logits_CHW in zip(batch, self.logits(batch), strict=True):
                size_px = (photo_HWC.shape[0], photo_HWC.shape[1])
                yield Prediction(
                    photo_HWC,
                    labels_at(logits_CHW, size_px),
                    self.label_space,
                    probabilities_at(logits_CHW, size_px) if probabilities else None,
                )

    @torch.inference_mode()
    def logits(self, photos: Sequence[NDArray[np.uint8]]) -> list[Tensor]:
        """Return each photo's logits (C, H, W), float32 on the device, at ``data.resize_px``.

        Where that is null, logits have the photo's own size.

        Args:
            photos: RGB photos (height, width, 3), uint8, of any sizes; those of one size in a row share a batch.
        """
        resize_px = self.config.data.resize_px
        inputs = [photo if resize_px is None else resize_photo(photo, resize_px) for photo in photos]
        found: list[Tensor] = []
        while len(found) < len(inputs):
            shape = inputs[len(found)].shape
            rest = inputs[len(found) :]
            batch = rest[: next((i for i, photo in enumerate(rest) if photo.shape != shape), len(rest))]
            stacked_BHWC = torch.from_numpy(np.stack(batch)).to(self.device)
            found.extend(self.forward(stacked_BHWC.permute(0, 3, 1, 2)))
        return found

    @torch.inference_mode()
    def forward(self, photos_BCHW: Tensor) -> Tensor:
        """Return the logits (B, C, H, W), float32, of photos that are resized as in training.

        Args:
            photos_BCHW: RGB, 0 to 255, on the device.

        Raises:
            ResourceError: The device has too little memory.
        """
        try:
            return self._whole(photos_BCHW)
        except torch.OutOfMemoryError as error:
            size = "x".join(map(str, photos_BCHW.shape[-2:]))
            raise ResourceError(
                f"{self.device} has too little memory for {len(photos_BCHW)} photos of {size} px: {in_short(error)}; "
                "give a smaller --batch or a --window, or --device cpu"
            ) from None

    def _forward(self) -> Forward:
        members: list[Forward] = [augmented(self._sized(member), self.tta) for member in self._members]
        return members[0] if len(members) == 1 else Ensemble(members)

    def _sized(self, member: Forward) -> Forward:
        """Return a member that predicts in windows: in those that were asked for, else photos that are too large."""
        if self.window_px is not None:
            return Windows(member, self.window_px, self.overlap)
        windows = Windows(member, LARGE_PHOTO_WINDOW_PX, self.overlap)

        def forward(photos_BCHW: Tensor) -> Tensor:
            is_large = photos_BCHW.shape[-2] * photos_BCHW.shape[-1] > LARGE_PHOTO_PIXELS
            return windows(photos_BCHW) if is_large else member(photos_BCHW)

        return forward


@dataclass(frozen=True)
class _Member:
    """A ``Forward`` of one model, computed as its run's validation computed it."""

    model: SegmentationModel
    device: torch.device
    precision: torch.dtype
    channels_last: bool

    @classmethod
    def on_device(cls, model: SegmentationModel, train: TrainConfig, device: torch.device) -> _Member:
        model = model.eval().to(device)
        if train.channels_last:
            model = model.to(memory_format=torch.channels_last)
        return cls(model, device, resolve_precision(train.precision, device), train.channels_last)

    def __call__(self, photos_BCHW: Tensor) -> Tensor:
        if self.channels_last:
            photos_BCHW = photos_BCHW.contiguous(memory_format=torch.channels_last)
        with autocast(self.device, self.precision):
            logits_BCHW: Tensor = self.model(photos_BCHW).float()
        return logits_BCHW


def find_device(device: str | torch.device | None) -> torch.device:
    """Return the device to compute on; None takes cuda or mps if there is one, else the CPU.

    Raises:
        ConfigError: The device has no such name.
        ResourceError: The device is not there.
    """
    if device is None:
        has_mps = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError:
        raise ConfigError(f"--device must be cpu, cuda, cuda:1 or mps, but got {str(device)!r}") from None
    num_there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (found.index or 0) >= num_there.get(found.type, 0):
        there = [name for name, number in num_there.items() if number]
        raise ResourceError(f"there is no device {str(device)!r} here; there are: {', '.join(there)}")
    return found


def load_model(
    location: str | Path | Folder,
    *,
    trial: str | None = None,
    device: str | torch.device | None = None,
    window_px: SizePx | None = None,
    overlap: float = 0.5,
    tta: str = "",
) -> Predictor:
    """Load a trained model, ready to predict photos of any size.

    Args:
        location: A run (its best trial is taken), a trial's folder, a checkpoint, or a folder that ``segray export``
            wrote; a path or URL.
        trial: A trial or repeat of the run, in place of the best one.
        device: See ``Predictor``, as for the other arguments.
        window_px: (height, width) of sliding windows.
        overlap: Least share of a window's side that neighbours share.
        tta: Test-time augmentation, such as ``flip,0.75,1.25``.

    Raises:
        StorageError: There is no model, it is damaged, or there is no such trial.
        ConfigError: An argument cannot work.
        ResourceError: The device is not there.
    """
    found = find_model(location, trial)
    model, config, label_space = load_checkpoint(found.folder)
    return Predictor(
        [model],
        config,
        label_space,
        device=device,
        window_px=window_px,
        overlap=overlap,
        tta=tta,
        locations=[found],
    )
