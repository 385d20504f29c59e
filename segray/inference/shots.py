"""Shots: the single photos of inputs, photo files and frames of videos, decoded only when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from segray.data.files.photo import photo_array
from segray.errors import DataError
from segray.inference.inputs import InputFile

if TYPE_CHECKING:
    from av import VideoFrame


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A photo to predict."""

    name: str
    """Name of its results without extension; a frame's is ``VIDEO/000001``, counted from 1"""
    load: Callable[[], NDArray[np.uint8]]
    """Returns the photo, (height, width, 3), RGB; raises DataError"""


def shots(files: Iterable[InputFile], done: Collection[str] = ()) -> Iterator[Shot]:
    """Yield the shots of files in their order; frames are read from a video as they are asked for.

    Args:
        files: Photos and videos.
        done: Names of shots to leave out.
    """
    for file in files:
        found = _frames(file) if file.is_video else [Shot(name=file.name, load=partial(photo_array, file.path))]
        yield from (shot for shot in found if shot.name not in done)


def count_shots(files: Iterable[InputFile]) -> int:
    """Return the number of shots; a video counts as many as its header says, which may be wrong, or 1."""
    return sum(_frames_in_header(file.path) if file.is_video else 1 for file in files)


def video_frames(path: Path) -> Iterator[Callable[[], NDArray[np.uint8]]]:
    """Yield a function for each frame of a video, which returns the frame, (height, width, 3), RGB.

    FFmpeg's threads decode ahead by a few frames, so memory does not depend on the video's length.

    Raises:
        DataError: The video cannot be read or has no frame.
    """
    import av

    count = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DataError(f"{path}: a video must have a video stream, but has none")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                count += 1
                yield partial(_rgb, frame)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        after = f" after frame {count}" if count else ""
        raise DataError(f"{path}: the video cannot be read{after}: {error}") from None
    if not count:
        raise DataError(f"{path}: a video must have a frame, but this one has none")


def _frames(file: InputFile) -> Iterator[Shot]:
    try:
        for number, load in enumerate(video_frames(file.path), start=1):
            yield Shot(name=f"{file.name}/{number:06d}", load=load)
    except DataError as error:
        yield Shot(name=file.name, load=partial(_fail, error))


def _rgb(frame: VideoFrame) -> NDArray[np.uint8]:
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _fail(error: DataError) -> NDArray[np.uint8]:
    raise error


def _frames_in_header(path: Path) -> int:
    import av

    try:
        with av.open(str(path)) as container:
            return max(container.streams.video[0].frames, 1)
    except (av.error.FFmpegError, OSError, ValueError, IndexError):
        return 1
