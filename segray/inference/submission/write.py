"""Predicts the images of a benchmark, and writes them as a zip to submit."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segray.errors import DataError, StorageError
from segray.files import growing_file, output_path
from segray.inference.submission.benchmark import Benchmark
from segray.inference.submission.validate import check_submission

if TYPE_CHECKING:  # a check needs no torch
    from segray.inference.predictor import Predictor

ZIP_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""Date of every file in a zip, so that equal predictions give equal zips"""

T = TypeVar("T")

Progress = Callable[[int, int], None]


def check_zip(path: Path, *, data_root: str = "") -> Path:
    """Return the path of a zip that a command will write, resolved and checked as by ``output_path``.

    Raises:
        StorageError: The zip cannot be written there, or does not end in .zip.
    """
    if path.suffix.lower() != ".zip":
        raise StorageError(f"cannot write {str(path)!r}: name a .zip file")
    return output_path(path, data_root=data_root)


def benchmark_photos(benchmark: Benchmark, root: str, split: str) -> Mapping[str, Path]:
    """Return key -> photo of the images that a benchmark asks for.

    Raises:
        DataError: The data set cannot be read, or the split has no photos.
    """
    photos = benchmark.photos(root, split)
    if not photos:
        raise DataError(f"the {split} split of {benchmark.dataset} at {root!r} must hold photos, but holds none")
    return photos


def write_submission(
    model: Predictor,
    benchmark: Benchmark,
    photos: Mapping[str, Path],
    target: Path,
    progress: Progress | None = None,
) -> int:
    """Predict photos one by one into a zip, check it, and return its number of images.

    The zip appears at its place when it is complete and the check finds no problem.

    Args:
        model: The trained model.
        benchmark: The benchmark.
        photos: Key -> photo of every image.
        target: File that ``check_zip`` returned.
        progress: Hears how many steps are done and their total: each photo is predicted, then each file checked.

    Raises:
        ConfigError: The model's classes do not suit the benchmark.
        DataError: A photo cannot be read.
        StorageError: The zip cannot be written.
    """
    encode = benchmark.encoder(model.label_space)
    predictions = model.predict_all(photos.values(), probabilities=benchmark.needs_probabilities)
    try:
        with growing_file(target) as partial:
            files = (
                (benchmark.file_name(key), encode(prediction))
                for key, prediction in zip(photos, predictions, strict=True)
            )
            _write_zip(partial, _counted(files, progress, 2 * len(photos)))
            return check_submission(partial, benchmark, photos, progress and _second_half(progress))
    except OSError as error:
        raise StorageError(f"cannot write {str(target)!r}: {error.strerror or error}") from None


def _write_zip(path: Path, files: Iterable[tuple[str, NDArray[np.uint8]]]) -> None:
    # PNG is compressed already, so the zip stores it as it is.
    with ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, values_HW in files:
            stream = io.BytesIO()
            Image.fromarray(values_HW).save(stream, "PNG")
            member = ZipInfo(name, ZIP_DATE)
            member.external_attr = 0o644 << 16
            archive.writestr(member, stream.getvalue())


def _counted(items: Iterable[T], progress: Progress | None, total: int) -> Iterable[T]:
    for number, item in enumerate(items, 1):
        yield item
        if progress:
            progress(number, total)


def _second_half(progress: Progress) -> Progress:
    return lambda done, total: progress(total + done, 2 * total)
