"""Checks a submission file by file, as its benchmark reads it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np
from PIL import Image

from segray.data.files.decode import picture_size
from segray.errors import DataError, listed
from segray.foreign import PICTURE_DAMAGE
from segray.inference.submission.benchmark import Benchmark

MAX_FILE_BYTES: Final = 100_000_000
"""Largest unpacked file that is read: the labels of a photo have at most a byte a pixel"""


def check_submission(
    path: Path,
    benchmark: Benchmark,
    photos: Mapping[str, Path],
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Check a zip, and return its number of images.

    Args:
        path: The zip.
        benchmark: Its benchmark.
        photos: Key -> photo of every image that the benchmark asks for.
        progress: Hears the number of checked images and their total.

    Raises:
        DataError: The file is no zip, or the benchmark would not score it; the message names the first ten problems,
            ``problems`` has all.
    """
    try:
        with ZipFile(path) as archive:
            problems = list(_problems(archive, benchmark, photos, progress))
    except (BadZipFile, OSError, EOFError) as error:
        raise DataError(f"{str(path)!r} must be a zip file that can be read, but: {error}") from None
    if problems:
        raise DataError(f"the submission {str(path)!r} has {len(problems)} problems:{listed(problems)}", problems)
    return len(photos)


def _problems(
    archive: ZipFile,
    benchmark: Benchmark,
    photos: Mapping[str, Path],
    progress: Callable[[int, int], None] | None,
) -> Iterator[str]:
    files: dict[str, ZipInfo] = {}
    for member in archive.infolist():
        if member.is_dir():
            continue
        key = benchmark.key_of(member.filename)
        if key is None or key not in photos:
            yield f"{member.filename}: belongs to no image of the split; remove it"
        elif key in files:
            yield f"{member.filename}: {files[key].filename} is of the same image; remove one"
        else:
            files[key] = member
    for number, (key, photo) in enumerate(photos.items(), 1):
        if key not in files:
            yield f"{benchmark.file_name(key)}: is missing, for the photo {photo}"
        elif problem := _problem_in(archive, files[key], benchmark, photo):
            yield f"{files[key].filename}: {problem}"
        if progress:
            progress(number, len(photos))


def _problem_in(archive: ZipFile, member: ZipInfo, benchmark: Benchmark, photo: Path) -> str:
    """Return the problem of a file; empty if there is none."""
    if member.file_size > MAX_FILE_BYTES:
        return f"must have at most {MAX_FILE_BYTES:,} bytes, but has {member.file_size:,}"
    try:
        with Image.open(io.BytesIO(archive.read(member)), formats=["PNG"]) as image:
            mode, values = image.mode, np.asarray(image)
    except (*PICTURE_DAMAGE, BadZipFile, zipfile.LargeZipFile) as error:
        return f"is no PNG that decodes: {error}"
    if mode not in benchmark.modes:
        return f"must have one channel of 8 bits, but is {mode} in Pillow's terms"
    height, width = picture_size(photo)
    if values.shape != (height, width):
        return f"must have the photo's size, {width}x{height}, but has {values.shape[1]}x{values.shape[0]}"
    unknown = sorted(set(np.unique(values).tolist()) - benchmark.values)
    if unknown:
        return f"must hold {benchmark.value_names}, but holds {', '.join(map(str, unknown[:10]))}"
    return ""
