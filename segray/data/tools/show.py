"""Draws images of a data set on one picture: photos, labels in colour, augmented crops, classes and their shares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from segray.config import DataConfig
from segray.data.batches.sampling import TrainSamples
from segray.data.cache.shard_writer import ShardWriter
from segray.data.cache.shards import Shard
from segray.data.datasets import open_dataset
from segray.data.datasets.dataset import SPLITS, Dataset
from segray.data.files.decode import resize_pair
from segray.data.files.encode import PICTURES, check_picture, write_picture
from segray.data.files.pair import Images, Pair
from segray.data.splits.division import divide
from segray.data.tools.image_grid import Grid, Panel, Row, draw_grid
from segray.errors import ConfigError, unknown_name

NUM_CROPS: Final = 2
"""Number of augmented crops of each image."""
MAX_IMAGES: Final = 50


def show(
    config: DataConfig,
    output: Path,
    *,
    split: str = "train",
    num_images: int = 4,
    augmented: bool = False,
    seed: int = 0,
) -> str:
    """Draw some images of a split, spread evenly over it, and decode only these.

    Args:
        config: The data set and its splits; `resize_px` is applied, and with `augmented` also policy and crop.
        output: PNG or JPEG file to write.
        split: train, val or test.
        num_images: Rows of the picture, 1 to 50.
        augmented: Whether to draw the training crops of the first epochs beside the photos.
        seed: Seed of the choice of images, and of the crops.

    Returns:
        One line that says what was drawn.

    Raises:
        ConfigError: A name or an option cannot work, or the split has no images.
        DataError: The data set cannot be opened, or an image that is drawn does not decode.
        StorageError: The picture cannot be written.
    """
    _check_options(output, num_images)
    target = check_picture(output, data_root=config.root)
    dataset = open_dataset(config)
    pairs = _split(dataset, config, split)
    picked = pick(pairs, num_images, seed)
    images = [_read(dataset, pair, config) for pair in picked]
    rows = [Row(pair.name, _panels(*pictured)) for pair, pictured in zip(picked, images, strict=True)]
    headings: Sequence[str] = ("photo", "label", "overlay")
    title = f"{config.dataset}, {split}: {len(picked)} of {len(pairs)} images"
    if augmented:
        crops = _crops(picked, images, config, dataset.label_space.num_classes, seed)
        rows = [Row(row.name, [row.panels[0], *panels]) for row, panels in zip(rows, crops, strict=True)]
        headings = ("photo", *(text for epoch in range(1, NUM_CROPS + 1) for text in (f"crop, epoch {epoch}", "label")))
        title += f", policy {config.policy}"
    pixels = sum(np.bincount(label.ravel(), minlength=256) for _, label in images)
    canvas = draw_grid(Grid(title, headings, rows, dataset.label_space, np.asarray(pixels)))
    write_picture(target, canvas)
    return f"wrote {output}: {title}"


def pick(pairs: Sequence[Pair], count: int, seed: int) -> list[Pair]:
    """Pick so many images, or all if there are fewer, at equal distances; the seed decides where the first lies."""
    count = min(count, len(pairs))
    offset = np.random.default_rng(seed).random()
    return [pairs[int((index + offset) * len(pairs) / count)] for index in range(count)]


def _check_options(output: Path, num_images: int) -> None:
    if output.suffix.lower() not in PICTURES:
        raise ConfigError(f"--output must end in .png, .jpg or .jpeg, but got {str(output)!r}")
    if not output.absolute().parent.is_dir():
        raise ConfigError(f"--output must lie in a folder that exists, but {str(output.parent)!r} does not")
    if not 1 <= num_images <= MAX_IMAGES:
        raise ConfigError(f"--images must lie from 1 to {MAX_IMAGES}, but got {num_images}")


def _split(dataset: Dataset, config: DataConfig, split: str) -> Sequence[Pair]:
    splits = divide(dataset, config)
    filled = [name for name in SPLITS if splits[name]]
    for name in SPLITS:
        if name == split and splits[name]:
            return splits[name]
    if split in SPLITS:
        raise ConfigError(f"the {split} split has no labelled images; choose from {', '.join(filled)}")
    raise ConfigError(unknown_name("split", split, filled))


def _read(dataset: Dataset, pair: Pair, config: DataConfig) -> Images:
    size = dataset.reader.size(pair)
    return resize_pair(*dataset.reader.read(pair), config.resize_px or size)


def _panels(photo: np.ndarray, label: np.ndarray) -> list[Panel]:
    return [Panel(photo=photo), Panel(label=label), Panel(photo=photo, label=label)]


def _crops(
    pairs: Sequence[Pair], images: Sequence[Images], config: DataConfig, num_classes: int, seed: int
) -> list[list[Panel]]:
    """Return the training crops of every image in the first epochs, each with its label."""
    with TemporaryDirectory() as folder:
        names, sizes = [pair.name for pair in pairs], [label.shape for _, label in images]
        writer = ShardWriter(Path(folder) / "shard", names, [(height, width) for height, width in sizes], num_classes)
        for index, (photo, label) in enumerate(images):
            writer.put(index, photo, label)
        writer.finish()
        samples = TrainSamples(Shard(Path(folder) / "shard"), config, seed)
        crops = []
        for index in range(len(pairs)):
            drawn = [samples.draw(epoch, index) for epoch in range(1, NUM_CROPS + 1)]
            # Copied, because a sample may be a view of the shard, which is removed with its folder.
            crops.append(
                [Panel(**part) for photo, label in drawn for part in ({"photo": photo.copy()}, {"label": label.copy()})]
            )
        return crops
