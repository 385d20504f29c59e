"""The frames of a video file, decoded one by one and turned upright."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from segray.errors import DataError


class Header(NamedTuple):
    """A video's own account of itself, which may be wrong."""

    fps: float | None
    """Frames a second; None if the file does not say"""
    num_frames: int | None
    """Number of frames; None if the file does not say"""


def read_header(path: Path) -> Header:
    """Read the header of a video.

    Raises:
        DataError: FFmpeg does not read the file, or it holds no video.
    """
    try:
        with av.open(str(path)) as container:
            stream = _video_stream(path, container)
            rate = stream.average_rate or stream.guessed_rate
            num_frames = stream.frames or None
            if num_frames is None and rate and container.duration:
                num_frames = max(round(container.duration / av.time_base * rate), 1)
    except (OSError, ValueError, FFmpegError) as error:
        raise _no_video(path, error) from None
    return Header(fps=float(rate) if rate else None, num_frames=num_frames)


def frames(path: Path) -> Iterator[Callable[[], NDArray[np.uint8]]]:
    """Yield a function for each frame of a video, which returns the frame, (height, width, 3), RGB; at least one.

    FFmpeg's threads decode ahead by a few frames, so memory does not depend on the video's length.

    Raises:
        DataError: The video cannot be read, or has no frame.
    """
    count = 0
    try:
        with av.open(str(path)) as container:
            stream = _video_stream(path, container)
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                count += 1
                yield partial(_upright, frame)
    except (OSError, ValueError, FFmpegError) as error:
        if not count:
            raise _no_video(path, error) from None
        fix = f"segray video makes a video of those before it with --frames {count}"
        raise DataError(f"{str(path)!r} is damaged after frame {count}: {_reason(error)}; {fix}") from None
    if not count:
        raise DataError(f"{str(path)!r} must hold a frame, but none could be decoded")


def _upright(frame: VideoFrame) -> NDArray[np.uint8]:
    """Turn a frame as the video says, by a multiple of 90 degrees counterclockwise: phones record sideways."""
    photo_HWC = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    return np.ascontiguousarray(np.rot90(photo_HWC, round(frame.rotation / 90)))


def _video_stream(path: Path, container: av.container.InputContainer) -> VideoStream:
    if not container.streams.video:
        kinds = ", ".join(sorted({stream.type for stream in container.streams}))
        raise DataError(f"{str(path)!r} must hold a video, but has {f'only {kinds}' if kinds else 'no streams'}")
    return container.streams.video[0]


def _no_video(path: Path, error: Exception) -> DataError:
    return DataError(f"{str(path)!r} must be a video file that FFmpeg reads: {_reason(error)}")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
