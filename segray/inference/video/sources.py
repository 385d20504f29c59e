"""The frames of a video: of a video file, of a folder of photos, or of a city of Cityscapes, read one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segray.data.datasets.cityscapes import PHOTO_END, PHOTOS
from segray.data.datasets.lister import PHOTO_EXTENSIONS, Lister
from segray.data.datasets.root import contents, root_folder
from segray.data.files.photo import photo_array
from segray.errors import ConfigError, DataError, unknown_name
from segray.files import expanded
from segray.inference.video_file import frames, read_header

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

    read: Callable[[], Iterator[Frame]]
    """Yields at least one frame, or raises DataError"""
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
    return _photos(f"the folder {str(folder)!r}", Lister().photos(folder))


def _photos(title: str, photos: dict[str, Path]) -> FrameSource:
    if not photos:
        raise DataError(
            f"{title} must hold photos, whose names end in {', '.join(sorted(PHOTO_EXTENSIONS))}, but holds none"
        )
    ordered = sorted(photos.items(), key=lambda item: _by_numbers(item[0]))
    return FrameSource(
        read=lambda: (Frame(name, photo_array(path)) for name, path in ordered),
        count=len(ordered),
        fps=PHOTO_FPS,
    )


def _by_numbers(name: str) -> list[tuple[str, int]]:
    """Return a key that puts frame_9 before frame_10."""
    return [(text, int(number or 0)) for text, number in re.findall(r"(\D*)(\d*)", name)]


def _video(path: Path) -> FrameSource:
    header = read_header(path)
    return FrameSource(
        read=lambda: (Frame(f"{path.name} {number:06d}", load()) for number, load in enumerate(frames(path), 1)),
        count=header.num_frames,
        fps=header.fps or PHOTO_FPS,
        inputs=(path,),
    )
