"""The frames of a video: of a video file, of a folder of photos, or of a city of Cityscapes, read one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import av
import numpy as np
from av.error import FFmpegError
from av.video.stream import VideoStream
from numpy.typing import NDArray

from segray.data.datasets.cityscapes import PHOTO_END, PHOTOS
from segray.data.datasets.lister import PHOTO_EXTENSIONS, Lister
from segray.data.datasets.root import contents, root_folder
from segray.data.files.photo import photo_array
from segray.errors import ConfigError, DataError, unknown_name
from segray.files import expanded

PHOTO_FPS: Final = 4.0
"""Photos a second, for sources that have no rate of their own: a street scene changes wholly from one to the next."""


class Frame(NamedTuple):
    """A frame and its name."""

    name: str
    photo_HWC: NDArray[np.uint8]
    """RGB"""


@dataclass(frozen=True, kw_only=True)
class FrameSource:
    """Frames that can be read in order."""

    title: str
    """The source in a few words, for messages"""
    read: Callable[[], Iterator[Frame]]
    count: int | None
    """Number of frames; a video's header may be wrong, or not say"""
    fps: float
    """Frames a second, at which the source was recorded"""
    inputs: tuple[Path, ...] = ()
    """Files that a result must not replace"""


def open_source(path: Path) -> FrameSource:
    """Open a video file, or a folder of photos in the order of their numbers.

    Raises:
        DataError: There is no such file or folder, or it holds no frames that can be read.
        ConfigError: The file is a photo.
    """
    path = expanded(path)
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise DataError(f"{str(path)!r} must be a video file or a folder of frames, but does not exist")
    if path.suffix.lower() in PHOTO_EXTENSIONS:
        raise ConfigError(f"{str(path)!r} is a photo, not a video; segray predict draws it, or name its folder")
    return _video(path)


def open_city(root: str, city: str) -> FrameSource:
    """Open the photos of a city of Cityscapes in the order of their sequences and frames, in whichever split it lies.

    Args:
        root: Folder that holds leftImg8bit/.
        city: Name of the city's folder, such as berlin.

    Raises:
        ConfigError: There is no such city.
        DataError: The data set cannot be read, or the city has no photos.
    """
    splits = [split for split in contents([root_folder(root, (PHOTOS,)) / PHOTOS]) if split.is_dir()]
    cities = {path.name: split for split in splits for path in contents([split]) if path.is_dir()}
    if city not in cities:
        raise ConfigError(unknown_name("city", city, cities))
    photos = Lister().by_ending(cities[city], PHOTO_END, PHOTO_EXTENSIONS)
    chosen = {name: path for name, path in photos.items() if path.parent.name == city}
    return _photos(f"{city} in {str(cities[city])!r}", chosen)


def _folder(folder: Path) -> FrameSource:
    photos = [path for path in contents([folder]) if path.suffix.lower() in PHOTO_EXTENSIONS]
    return _photos(f"the folder {str(folder)!r}", {path.stem: path for path in photos})


def _photos(title: str, photos: dict[str, Path]) -> FrameSource:
    if not photos:
        raise DataError(
            f"{title} must hold photos, whose names end in {', '.join(sorted(PHOTO_EXTENSIONS))}, but holds none"
        )
    ordered = sorted(photos.items(), key=lambda item: _by_numbers(item[0]))
    return FrameSource(
        title=title,
        read=lambda: (Frame(name, photo_array(path)) for name, path in ordered),
        count=len(ordered),
        fps=PHOTO_FPS,
    )


def _by_numbers(name: str) -> list[tuple[str, int]]:
    """Return a key that puts frame_9 before frame_10."""
    return [(text, int(number or 0)) for text, number in re.findall(r"(\D*)(\d*)", name)]


def _video(path: Path) -> FrameSource:
    try:
        with av.open(str(path)) as container:
            stream = _video_stream(path, container)
            fps = float(stream.average_rate or stream.guessed_rate or PHOTO_FPS)
            count = stream.frames or None
            if count is None and container.duration:
                count = max(round(container.duration / av.time_base * fps), 1)
    except (OSError, FFmpegError) as error:
        raise _no_video(path, error) from None
    return FrameSource(
        title=f"the video {str(path)!r}", read=lambda: _decode(path), count=count, fps=fps, inputs=(path,)
    )


def _decode(path: Path) -> Iterator[Frame]:
    number = 0
    try:
        with av.open(str(path)) as container:
            stream = _video_stream(path, container)
            stream.thread_type = "AUTO"
            for number, frame in enumerate(container.decode(stream), 1):
                photo_HWC = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
                yield Frame(f"{path.name} {number:06d}", upright(photo_HWC, frame.rotation))
    except (OSError, FFmpegError) as error:
        if not number:
            raise _no_video(path, error) from None
        raise DataError(f"{str(path)!r} is damaged after frame {number}: {_reason(error)}; --frames {number}") from None


def upright(photo_HWC: NDArray[np.uint8], rotation: int) -> NDArray[np.uint8]:
    """Turn a frame as the video says, by a multiple of 90 degrees counterclockwise: phones record sideways."""
    return np.ascontiguousarray(np.rot90(photo_HWC, round(rotation / 90)))


def _video_stream(path: Path, container: av.container.InputContainer) -> VideoStream:
    if not container.streams.video:
        raise DataError(f"{str(path)!r} must hold a video, but has only {', '.join(_kinds(container)) or 'no streams'}")
    return container.streams.video[0]


def _kinds(container: av.container.InputContainer) -> list[str]:
    return sorted({stream.type for stream in container.streams})


def _no_video(path: Path, error: Exception) -> DataError:
    return DataError(f"{str(path)!r} must be a video file that FFmpeg reads, or a folder of frames: {_reason(error)}")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
