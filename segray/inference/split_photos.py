"""The photos of a split, as a model's run divided them."""

from __future__ import annotations

from pathlib import Path

from segray.config import RunConfig
from segray.data.cache.fingerprint import listing
from segray.data.datasets.dataset import SPLITS, Split
from segray.data.files.pair import normal
from segray.data.splits.division import divide
from segray.errors import ConfigError, DataError, listed, unknown_name
from segray.inference.inputs import InputFile, named_in_common_folder
from segray.inference.shots import ReadPhoto
from segray.inference.split_data import with_data_at
from segray.records import SplitRecord


def split_inputs(
    config: RunConfig, record: SplitRecord | None, split: str, data_root: str | None = None
) -> tuple[list[InputFile], ReadPhoto]:
    """Return the photos of a split, in order of their names, and how to read them; results are named as files lie.

    ``test`` falls back to photos without labels, such as those of the official test split of Cityscapes and KITTI Road,
    if there are no labelled test images.

    Args:
        config: The model's run.
        record: The images of each split that the sweep recorded; None divides the images as the config says.
        split: train, val or test.
        data_root: Folder of the data set on this machine; None for the folder that the run used.

    Raises:
        ConfigError: There is no such split.
        DataError: The data set cannot be read, lacks images of the split, or has none in it.
    """
    name: Split | None = next((known for known in SPLITS if known == split), None)
    if name is None:
        raise ConfigError(unknown_name("split", split, SPLITS))
    data = config.data if data_root is None else with_data_at(config, data_root, None).data
    dataset = listing(data).dataset
    if record is None:
        photos = [pair.photo for pair in divide(dataset, data)[name]]
    else:
        photos = _recorded({pair.name: pair.photo for pair in dataset.pairs()}, getattr(record, name), split, data.root)
    if name == "test" and not photos:
        photos = sorted(dataset.unlabelled)
    if not photos:
        raise DataError(
            f"the {split} split of {data.dataset} in {data.root!r} has no photo, and the data set comes with no "
            "unlabelled test photos; name another split, or photos"
        )
    return named_in_common_folder(photos), dataset.reader.read_photo


def _recorded(photos: dict[str, Path], names: dict[str, int], split: str, root: str) -> list[Path]:
    wanted = [normal(name) for name in names]
    missing = [name for name in wanted if name not in photos]
    if missing:
        raise DataError(
            f"the data set at {root!r} must hold the {len(wanted)} images of the run's {split} split, but lacks "
            f"{len(missing)}; name its folder with --data:{listed(missing)}",
            missing,
        )
    return [photos[name] for name in wanted]
