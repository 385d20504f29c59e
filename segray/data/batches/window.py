"""Training crops: draws a window of an image, and cuts photo and label to exactly the crop's size.

A window is cut before it is resized, so only the window's own rows of a large photo are read.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from segray.config import SizePx
from segray.data.files.pair import Images
from segray.labels import IGNORE_INDEX

PADDING_RGB: Final = (124, 116, 104)
"""Mean colour of ImageNet, which the model's normalisation turns into zeros or numbers near zero."""


class Window(NamedTuple):
    """A rectangle of an image in pixels; it reaches beyond a smaller image."""

    top: int
    left: int
    height: int
    width: int


def draw_window(
    rng: np.random.Generator, image_px: SizePx, crop_px: SizePx, zoom: float, anchor: tuple[int, int] | None = None
) -> Window:
    """Draw a random window that will fill the crop.

    On each axis, the window lies inside the image, or the image inside the window; all positions are equally probable.

    Args:
        rng: Source of the random numbers.
        image_px: (height, width) of the image.
        crop_px: (height, width) of the crop.
        zoom: The crop shows the image scaled by 1 / zoom to zoom, evenly on a log scale.
        anchor: A pixel (row, column) that the window must contain; None for any window.
    """
    scale = math.exp(rng.uniform(-1, 1) * math.log(zoom)) if zoom > 1 else 1.0
    height, width = (max(round(side / scale), 1) for side in crop_px)
    row, column = anchor or (None, None)
    return Window(_start(rng, image_px[0], height, row), _start(rng, image_px[1], width, column), height, width)


def cut(photo: NDArray[np.uint8], label: NDArray[np.uint8], window: Window, crop_px: SizePx) -> Images:
    """Cut photo and label to a window, both at exactly `crop_px`.

    Pixels beyond the image are PADDING_RGB in the photo, and void in the label.

    Args:
        photo: uint8 RGB, (height, width, 3).
        label: uint8 training ids, (height, width).
        window: The part to cut out.
        crop_px: (height, width) of the results.

    Returns:
        Photo and label; views of the arguments if nothing had to be resized or padded.
    """
    top, left, height, width = window
    inside = slice(max(top, 0), top + height), slice(max(left, 0), left + width)
    photo, label = photo[inside], label[inside]
    if label.shape != (height, width):
        above, before = max(-top, 0), max(-left, 0)
        borders = (above, height - above - label.shape[0], before, width - before - label.shape[1])
        photo, label = _pad(photo, borders, PADDING_RGB), _pad(label, borders, (IGNORE_INDEX,))
    if label.shape != crop_px:
        shrinks = height * width > crop_px[0] * crop_px[1]
        photo = _resize(photo, crop_px, cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        label = _resize(label, crop_px, cv2.INTER_NEAREST_EXACT)
    return photo, label


def _start(rng: np.random.Generator, image: int, window: int, anchor: int | None) -> int:
    """Draw the first row or column of a window."""
    low, high = min(0, image - window), max(0, image - window)
    if anchor is not None:
        low, high = max(low, anchor - window + 1), min(high, anchor)
    return int(rng.integers(low, high + 1))


def _resize(image: NDArray[np.uint8], size_px: SizePx, interpolation: int) -> NDArray[np.uint8]:
    return cv2.resize(image, size_px[::-1], interpolation=interpolation).astype(np.uint8, copy=False)


def _pad(image: NDArray[np.uint8], borders: tuple[int, int, int, int], value: tuple[int, ...]) -> NDArray[np.uint8]:
    return cv2.copyMakeBorder(image, *borders, cv2.BORDER_CONSTANT, value=value).astype(np.uint8, copy=False)
