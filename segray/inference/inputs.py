"""The photos and videos that a command predicts: found by name, in an order that a person expects, named apart."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from segray.data.datasets.lister import PHOTO_EXTENSIONS
from segray.errors import DataError, listed
from segray.files import expanded
from segray.foreign import is_unicode

VIDEO_EXTENSIONS: Final = frozenset({".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".ts"})


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A photo or a video."""

    path: Path
    name: str
    """Name of its results without extension, such as ``berlin/berlin_000000_000019``; differs from all others"""

    @property
    def is_video(self) -> bool:
        """Whether the file is a video, by its extension."""
        return self.path.suffix.lower() in VIDEO_EXTENSIONS


def find_inputs(places: Iterable[str | Path], *, leave_out: Path | None = None) -> list[InputFile]:
    """Find the photos and videos at some places, in the order of the places, each file once.

    Args:
        places: Files; folders, in which photos are found at any depth, in natural order (``9.png`` before ``10.png``);
            and patterns such as ``photos/*.png``, of which ``**`` stands for folders at any depth.
        leave_out: Folder whose files are not found in other folders, such as that of earlier results.

    Raises:
        DataError: A place is not there, holds no photo, or cannot be read.
    """
    found: dict[Path, Path] = {}  # file -> its name, from the folder or pattern that it was found by
    for place in places:
        for path, base in _files_at(expanded(place), leave_out):
            found.setdefault(path.absolute(), path.relative_to(base))
    return named_apart(found)


def named_apart(files: dict[Path, Path]) -> list[InputFile]:
    """Name files: as they are called, but for the extension, if this tells them and a video's frames apart.

    Otherwise names begin at the folder that holds all files; where even then names are equal, they keep the extension.

    Args:
        files: Absolute path -> path relative to the folder where names begin.

    Raises:
        DataError: A name is not UTF-8, or two results would have one name.
    """
    _check_unicode(files)
    found = [InputFile(path=path, name=relative.with_suffix("").as_posix()) for path, relative in files.items()]
    if not _clashing(found):
        return found
    top = os.path.commonpath([path.parent for path in files])
    whole = [path.relative_to(top) for path in files]
    found = [
        InputFile(path=path, name=name.with_suffix("").as_posix()) for path, name in zip(files, whole, strict=True)
    ]
    while clashing := _clashing(found):
        named = [
            InputFile(path=file.path, name=name.as_posix()) if index in clashing else file
            for index, (file, name) in enumerate(zip(found, whole, strict=True))
        ]
        if named == found:
            paths = [str(found[index].path) for index in sorted(clashing)]
            raise DataError(f"results of these files would have one name; predict them apart:{listed(paths)}", paths)
        found = named
    return found


def _clashing(files: Sequence[InputFile]) -> set[int]:
    """Return the indices of files whose results, or whose frames' results, would have the name of another's."""
    counts = Counter(file.name for file in files)
    folders = {parent.as_posix() for file in files for parent in PurePosixPath(file.name).parents}
    return {
        index for index, file in enumerate(files) if counts[file.name] > 1 or (file.is_video and file.name in folders)
    }


def _check_unicode(files: Iterable[Path]) -> None:
    bad = [str(path) for path in files if not is_unicode(str(path))]
    if bad:
        shown = [ascii(path) for path in bad]
        raise DataError(f"names of files must be UTF-8, but {len(bad)} are not; rename them:{listed(shown)}", shown)


def named_in_common_folder(paths: Sequence[Path]) -> list[InputFile]:
    """Name files by their places below the folder that holds all of them."""
    absolute = [path.absolute() for path in paths]
    if not absolute:
        return []
    top = os.path.commonpath([path.parent for path in absolute])
    return named_apart({path: path.relative_to(top) for path in absolute})


def results_of(files: Sequence[InputFile]) -> Callable[[str], bool]:
    """Return whether a result's name is that of one of the files: of a photo, or of a frame of a video."""
    names, videos = {file.name for file in files}, tuple(f"{file.name}/" for file in files if file.is_video)
    return lambda name: name in names or name.startswith(videos)


def without(files: Sequence[InputFile], done: Collection[str]) -> list[InputFile]:
    """Return the files whose results are not there yet; a video's frames are looked at one by one."""
    return [file for file in files if file.is_video or file.name not in done]


def natural_key(path: Path) -> tuple[object, ...]:
    """Return a key that sorts numbers in names by value, folders part by part."""
    return tuple(
        tuple((0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in re.split(r"(\d+)", name))
        for name in path.parts
    )


def _files_at(place: Path, leave_out: Path | None) -> Iterator[tuple[Path, Path]]:
    """Yield each file at a place, with the folder that its name is relative to."""
    if place.is_dir():
        yield from ((path, place) for path in _photos_below(place, leave_out))
    elif os.path.lexists(place):
        yield place, place.parent
    elif glob.has_magic(str(place)):
        yield from _matching(place, leave_out)
    else:
        raise DataError(f"there is no photo, video or folder {str(place)!r}")


def _photos_below(folder: Path, leave_out: Path | None) -> list[Path]:
    problems: list[str] = []
    found: list[Path] = []
    entered = {leave_out.resolve() if leave_out else None}  # links may lead in a circle
    for parent, folders, names in os.walk(folder, onerror=lambda error: problems.append(str(error)), followlinks=True):
        here = Path(parent)
        entered.add(here.resolve())
        # Folders of file managers and of version control hold no photos of a person's.
        folders[:] = [name for name in folders if not name.startswith(".") and (here / name).resolve() not in entered]
        found += (here / name for name in names if _is_photo(name))
    if problems:
        raise DataError(f"{len(problems)} folders cannot be read:{listed(problems)}", problems)
    if not found:
        raise DataError(
            f"the folder {str(folder)!r} must hold a photo at some depth, but holds none of "
            f"{', '.join(sorted(PHOTO_EXTENSIONS))}; name a video by its file"
        )
    return sorted(found, key=lambda path: natural_key(path.relative_to(folder)))


def _matching(pattern: Path, leave_out: Path | None) -> Iterator[tuple[Path, Path]]:
    parts = pattern.parts
    base = Path(*parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))])
    left_out = leave_out and leave_out.resolve()
    found = [Path(name) for name in glob.glob(str(pattern), recursive=True)]  # noqa: PTH207 - Path.glob refuses "/*"
    kept = [
        path
        for path in found
        if (_is_photo(path.name) or path.suffix.lower() in VIDEO_EXTENSIONS)
        and path.is_file()
        and not (left_out and path.resolve().is_relative_to(left_out))
    ]
    if not kept:
        what = f"{len(found)} files and folders, none of them a photo or a video" if found else "nothing"
        raise DataError(f"the pattern {str(pattern)!r} must match a photo, but matches {what}")
    for path in sorted(kept, key=natural_key):
        # Names with ".." would lead out of the folder of the results.
        inside = ".." not in path.relative_to(base).parts
        yield (path, base) if inside else (path.resolve(), path.resolve().parent)


def _is_photo(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in PHOTO_EXTENSIONS
