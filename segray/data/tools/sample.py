"""Draws images from a data set of Cityscapes label ids into the form of trainA, as SG-GAN's `prepare_data.py` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

from segray.config import DataConfig, SizePx
from segray.data.cache.build import num_cores
from segray.data.datasets import open_dataset
from segray.data.datasets.gta5 import LICENSE_PLATE_ID, PALETTE
from segray.data.datasets.train_a import CLASS_SUFFIX, COLOR_SUFFIX
from segray.data.files.decode import resize_pair
from segray.data.files.encode import new_folder, write_image
from segray.data.files.pair import Pair
from segray.data.files.readers import FileReader, IdLabels
from segray.data.splits.division import ranked
from segray.errors import ConfigError, DataError, listed
from segray.files import check_new_folder

SOURCES: Final = ("cityscapes", "gta5")


def sample(
    config: DataConfig,
    dest: str | Path,
    *,
    train: int = 2000,
    test: int = 500,
    seed: int = 0,
    size_px: SizePx | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> list[str]:
    """Draw images by seed and write them as trainA, trainA_seg, trainA_seg_class, testA, testA_seg, testA_seg_class.

    The folder appears whole, by one rename. Images keep their names in the data set; labels are label ids.

    Args:
        config: A data set of SOURCES; its `exclude` counts, its own splits do not.
        dest: Folder to make; missing parents are made, too.
        train: Number of images for trainA, at least 1.
        test: Number of images for testA, 0 or more.
        seed: Seed of the choice of images.
        size_px: (height, width) of the written images; None keeps their size.
        progress: Told how many images of how many are written, after each image.

    Returns:
        The sequences that lie on both sides: at most one, if there were too few images to keep it whole.

    Raises:
        ConfigError: The data set is not in SOURCES, or a number is out of its range.
        DataError: The folder exists, there are too few images, or some do not decode; the error names all of these.
        StorageError: The folder cannot be written, or lies in a data set or a sweep.
    """
    if config.dataset not in SOURCES:
        raise ConfigError(f"a sample must be drawn from {' or '.join(SOURCES)}, but got {config.dataset!r}")
    if train < 1 or test < 0 or min(size_px or (1,)) < 1:
        raise ConfigError(
            f"a sample needs train >= 1, test >= 0 and size_px >= 1, but got {train=}, {test=}, {size_px=}"
        )
    check_new_folder(Path(dest), config.root)
    parts = _draw(open_dataset(config).pairs(), train, test, seed)
    with new_folder(dest, "a sample") as unfinished:
        _write_all(unfinished, parts, size_px, progress)
    sides = [{pair.sequence for pair in pairs} for pairs in parts.values()]
    return sorted(set.intersection(*sides) - {""})


def _draw(pairs: Sequence[Pair], train: int, test: int, seed: int) -> dict[str, list[Pair]]:
    if train + test > len(pairs):
        raise DataError(f"a sample of {train} + {test} images needs {train + test}, but there are {len(pairs)}")
    drawn = [pair for sequence in ranked(pairs, seed) for pair in sequence]
    tested, rest = drawn[:test], drawn[test:]
    # Only the last sequence can be cut; its rest is left out if there are enough other images.
    cut = tested[-1].sequence if tested else ""
    apart = [pair for pair in rest if not cut or pair.sequence != cut]
    return {"trainA": (apart if len(apart) >= train else rest)[:train], "testA": tested}


def _write_all(
    root: Path,
    parts: dict[str, list[Pair]],
    size_px: SizePx | None,
    progress: Callable[[int, int], object] | None,
) -> None:
    reader = FileReader(IdLabels({label_id: label_id for label_id in range(LICENSE_PLATE_ID + 1)}))

    def write(part: str, pair: Pair) -> None:
        size = reader.size(pair)
        photo, label = resize_pair(*reader.read(pair), size_px or size)
        name = f"{pair.name}.png"
        write_image(root / part / name, photo)
        write_image(root / f"{part}{COLOR_SUFFIX}" / name, PALETTE[label])
        write_image(root / f"{part}{CLASS_SUFFIX}" / name, label)

    problems: list[str] = []
    with ThreadPoolExecutor(num_cores()) as pool:
        tasks = [pool.submit(write, part, pair) for part, pairs in parts.items() for pair in pairs]
        try:
            for done, task in enumerate(as_completed(tasks), start=1):
                problems += _problems(task)
                if progress:
                    progress(done, len(tasks))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if problems:
        raise DataError(
            f"{len(problems)} problems; data.exclude leaves images out:{listed(sorted(problems))}", sorted(problems)
        )


def _problems(task: Future[None]) -> Sequence[str]:
    try:
        task.result()
    except DataError as error:
        return error.problems
    return ()
