"""The comparison of an exported graph with PyTorch, on photos at several sizes.

Shape suffixes: B images, C channels or classes, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from segray.config import SizePx
from segray.data.files.decode import resize_photo
from segray.errors import ConfigError
from segray.inference.resizing import logits_at
from segray.models import SegmentationModel

LEAST_AGREEMENT: Final = 0.999
"""Least share of pixels whose labels agree, at every size."""
LARGEST_DIFFERENCE: Final = 1e-3
"""Largest difference of a logit, as a share of the largest logit at that size (of 1, if that is smaller)."""

Photos = NDArray[np.uint8]
"""RGB, (B, 3, H, W)"""
Run = Callable[[Photos], NDArray[Any]]
"""Maps photos to logits (B, C, H, W), float32, or to labels (B, H, W), uint8"""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far an exported graph agrees with PyTorch at one size."""

    size_px: SizePx
    num_photos: int
    """Photos in the batch"""
    labels: float
    """Share of pixels whose labels agree"""
    logits: float | None = None
    """Largest difference of a logit, relative; None if the graph gives labels"""
    failure: str = ""
    """Why the graph did not run, if it did not"""

    @property
    def is_good(self) -> bool:
        """Whether the graph may be used at this size."""
        logits = 0.0 if self.logits is None else self.logits
        return not self.failure and self.labels >= LEAST_AGREEMENT and logits <= LARGEST_DIFFERENCE

    @property
    def in_words(self) -> str:
        """The finding, such as ``labels agree on 74.0 %``."""
        if self.failure:
            return f"it fails: {self.failure}"
        logits = "" if self.logits is None else f", logits differ by {self.logits:.1e} of the largest"
        return f"labels agree on {100 * self.labels:.2f} %{logits}"


class Reference:
    """The prediction of a model in PyTorch, with the resizing of ``Predictor``; on the CPU, in float32.

    Args:
        model: The trained model, in eval mode, on the CPU.
        resize_px: The size to resize photos to, and logits back from; None for photos at their own size.
    """

    def __init__(self, model: SegmentationModel, resize_px: SizePx | None) -> None:
        self.model = model
        self.resize_px = resize_px

    @torch.inference_mode()
    def __call__(self, photos_BCHW: Photos) -> NDArray[np.float32]:
        """Return logits (B, C, H, W) at the photos' size."""
        size_px = (photos_BCHW.shape[2], photos_BCHW.shape[3])
        inputs_BCHW = photos_BCHW if self.resize_px is None else at_size(photos_BCHW, self.resize_px)
        found = [logits_at(logits_CHW, size_px) for logits_CHW in self.model(torch.from_numpy(inputs_BCHW))]
        return torch.stack(found).numpy()


def compare(
    run: Run, reference: Run, photos: Sequence[Photos], batches: Iterable[tuple[int, SizePx]]
) -> list[Agreement]:
    """Compare an exported graph with PyTorch.

    Args:
        run: The exported graph.
        reference: The model in PyTorch; gives logits.
        photos: Photos (1, 3, H, W), taken in turn, and resized.
        batches: Number of photos, and their size, of each comparison.
    """
    found, start = [], 0
    for num_photos, size_px in batches:
        chosen = [photos[(start + index) % len(photos)] for index in range(num_photos)]
        start += num_photos
        batch_BCHW = np.concatenate([at_size(photo, size_px) for photo in chosen])
        found.append(_compare(run, reference, batch_BCHW))
    return found


def check(found: Sequence[Agreement], *, what: str, fix: str) -> None:
    """Check that an exported graph agrees with PyTorch at every size.

    Raises:
        ConfigError: It does not; the message names the worst size.
    """
    if bad := [agreement for agreement in found if not agreement.is_good]:
        worst = min(bad, key=lambda agreement: (not agreement.failure, agreement.labels))
        raise ConfigError(
            f"{what} must agree with PyTorch on {100 * LEAST_AGREEMENT:g} % of labels and to {LARGEST_DIFFERENCE:g} in "
            f"logits, but at {worst.size_px[0]}x{worst.size_px[1]} px {worst.in_words}; {fix}"
        )


def at_size(photos_BCHW: Photos, size_px: SizePx) -> Photos:
    """Return photos (B, 3, H, W) resized as training data is."""
    resized = [resize_photo(np.ascontiguousarray(photo.transpose(1, 2, 0)), size_px) for photo in photos_BCHW]
    return np.ascontiguousarray(np.stack(resized).transpose(0, 3, 1, 2))


def _compare(run: Run, reference: Run, photos_BCHW: Photos) -> Agreement:
    size_px, num_photos = (photos_BCHW.shape[2], photos_BCHW.shape[3]), len(photos_BCHW)
    expected_BCHW = reference(photos_BCHW)
    try:
        found = run(photos_BCHW)
    except Exception as error:  # any runtime raises its own kinds for a graph that was traced too narrowly
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        return Agreement(size_px=size_px, num_photos=num_photos, labels=0.0, failure=reason)
    expected_BHW = expected_BCHW.argmax(axis=1)
    if found.shape != (expected_BCHW.shape if found.ndim == 4 else expected_BHW.shape):
        reason = f"its output has the shape {found.shape}"
        return Agreement(size_px=size_px, num_photos=num_photos, labels=0.0, failure=reason)
    if found.ndim == 3:
        return Agreement(size_px=size_px, num_photos=num_photos, labels=float((found == expected_BHW).mean()))
    difference = np.abs(found.astype(np.float64) - expected_BCHW).max() / max(np.abs(expected_BCHW).max(), 1.0)
    labels = float((found.argmax(axis=1) == expected_BHW).mean())
    # A NaN is no agreement: it compares as false with any limit.
    return Agreement(size_px=size_px, num_photos=num_photos, labels=labels, logits=float(difference))
