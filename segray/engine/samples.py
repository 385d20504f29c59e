"""Sample images: the few validation images whose photo, truth and predictions a sweep shows."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image

from segray.data.cache.shards import Shard
from segray.data.preparation import PreparedData
from segray.folder import Folder
from segray.labels import LabelSpace

NUM_SAMPLES: Final = 4
"""Number of validation images whose predictions are kept for the report."""


def sample_indices(shard: Shard) -> list[int]:
    """Return the indices of the few validation images that a sweep shows, evenly spread."""
    return sorted({round(index) for index in np.linspace(0, len(shard) - 1, NUM_SAMPLES)})


def sample_name(shard: Shard, index: int) -> str:
    """Return the first part of the file names of a sample image."""
    return shard.names[index].replace("/", "-")


def is_shown_epoch(epoch: int) -> bool:
    """Return whether the predictions after an epoch are kept, for one image: after epochs 1, 2, 4, 8 and so on."""
    return epoch.bit_count() == 1


def write_samples(folder: Folder, data: PreparedData) -> None:
    """Write the sample images as samples/STEM_photo.png, and their true scored classes as samples/STEM_truth.png."""
    for index in sample_indices(data.val):
        stem = sample_name(data.val, index)
        stream = io.BytesIO()
        photo, label = data.val.pair(index)
        Image.fromarray(photo).save(stream, "PNG")
        folder.write_bytes(f"samples/{stem}_photo.png", stream.getvalue())
        write_labels(folder, f"{stem}_truth", data.val.judged(index, label), data.scored_space)


def write_labels(folder: Folder, name: str, labels_HW: np.ndarray, label_space: LabelSpace) -> None:
    """Write class ids as a PNG with the classes' colours as its palette."""
    image = Image.fromarray(labels_HW, mode="P")
    image.putpalette(label_space.palette().tobytes())
    stream = io.BytesIO()
    image.save(stream, "PNG")
    folder.write_bytes(f"samples/{name}.png", stream.getvalue())
