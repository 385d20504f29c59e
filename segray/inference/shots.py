"""Shots: the single photos of inputs, photo files and frames of videos, decoded only when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segray.data.files.photo import photo_array
from segray.errors import DataError
from segray.inference.inputs import InputFile

ReadPhoto = Callable[[Path], NDArray[np.uint8]]
"""Returns the photo of a file, (height, width, 3), RGB; raises DataError; picklable"""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A photo to predict."""

    name: str
    """Name of its results without extension; a frame's is ``VIDEO/000001``, counted from 1"""
    load: Callable[[], NDArray[np.uint8]]
    """Returns the photo, (height, width, 3), RGB; raises DataError"""


def shots(
    files: Iterable[InputFile], done: Collection[str] = (), read_photo: ReadPhoto = photo_array
) -> Iterator[Shot]:
    """Yield the shots of files in their order; frames are read from a video as they are asked for.

    Args:
        files: Photos and videos.
        done: Names of shots to leave out.
        read_photo: Reads a photo's file; that of a data set takes the photo out of a file with photo and label.
    """
    for file in files:
        found = _frames(file) if file.is_video else [Shot(name=file.name, load=partial(read_photo, file.path))]
        yield from (shot for shot in found if shot.name not in done)


def count_shots(files: Iterable[InputFile]) -> int:
    """Return the number of shots; a video counts as many as its header says, which may be wrong, or 1."""
    return sum(_frames_in_header(file.path) if file.is_video else 1 for file in files)


def _frames(file: InputFile) -> Iterator[Shot]:
    from segray.inference.video_file import frames

    try:
        for number, load in enumerate(frames(file.path), start=1):
            yield Shot(name=f"{file.name}/{number:06d}", load=load)
    except DataError as error:
        yield Shot(name=file.name, load=partial(_fail, error))


def _fail(error: DataError) -> NDArray[np.uint8]:
    raise error


def _frames_in_header(path: Path) -> int:
    from segray.inference.video_file import read_header

    try:
        return read_header(path).num_frames or 1
    except DataError:
        return 1
