"""One drawn scene, and how its images are written."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from segray.data.dataset import Split


class Scene(NamedTuple):
    """A drawn street scene, on its way into a data set's layout."""

    split: Split
    number: int
    """Number of the scene in its split, from 0"""
    photo: NDArray[np.uint8]
    """(height, width, 3), RGB"""
    label: NDArray[np.uint8]
    """(height, width), Cityscapes label ids"""


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write ids (height, width) or RGB (height, width, 3) as PNG or JPEG, by the extension; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    if not cv2.imwrite(str(path), stored):
        raise OSError(f"cannot write {path}")
