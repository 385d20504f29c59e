"""Finds the folders of a data set, and tells where they are if data.root is wrong by a level or two."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from segray.data.datasets.dataset import Split
from segray.data.files.pair import normal
from segray.errors import ConfigError, DataError, listed
from segray.files import expanded

SPLIT_NAMES: Final[dict[Split, tuple[str, ...]]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""Names that the folder of a split may have, each also with a capital."""
# Files that macOS, Windows and their archives put beside every file.
_OF_FILE_MANAGERS: Final = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "ehthumbs.db", "desktop.ini"})


def root_folder(root: str, markers: Sequence[str] = ()) -> Path:
    """Return the data set's folder.

    Args:
        root: `data.root`.
        markers: What the folder must hold, such as ``("leftImg8bit", "gtFine")`` or ``("training/image_2",)``.

    Raises:
        ConfigError: `root` is empty.
        DataError: The folder does not exist, is no folder, cannot be read, or lacks a marker; if a folder one or two
            levels above or below has all of them, the message names that folder.
    """
    if not root:
        raise ConfigError("data.root must name the folder of the data set, but is empty; pass --data or set data.root")
    folder = existing_folder(as_spelled(expanded(root)))
    missing = [marker for marker in markers if not _holds(folder, [marker])]
    if not missing:
        return folder
    needs = f"data folder {str(folder)!r} must hold {' and '.join(markers)}"
    held = [path.name for path in contents([folder])]
    near = folders_near(folder, markers)
    if len(near) > 1:
        several = listed([str(path) for path in near])
        raise DataError(f"{needs}, but several folders below it do; set data.root to one of them:{several}")
    for found in near:
        raise DataError(f"{needs}, but a folder {_where(folder, found)} does; set data.root to {str(found)!r}")
    there = f"there are {', '.join(held[:5])}" + (", ..." if len(held) > 5 else "") if held else "it is empty"
    raise DataError(f"{needs}, but lacks {' and '.join(missing)}; {there}")


def split_folder(root: Path, pattern: str, split: Split) -> Path:
    """Return the folder of a split, by any of its SPLIT_NAMES; by the first of them if there is no such folder.

    Args:
        root: Folder of the data set.
        pattern: Folder below it, such as ``images/{split}``; `{split}` stands for the name.
        split: train, val or test.

    Raises:
        DataError: There are several such folders.
    """
    folders = [as_spelled(root / pattern.replace("{split}", name)) for name in _names(split)]
    # A link under another name is no second folder, nor is another spelling on a disk that ignores the case of letters.
    there = {_identity(folder): folder for folder in reversed(folders) if os.path.lexists(folder)}
    if len(there) > 1:
        several = " and ".join(repr(str(folder)) for folder in reversed(there.values()))
        raise DataError(f"the {split} split must have one folder, but has {several}; merge them, or move one away")
    return next(iter(there.values()), folders[0])


def marker(root: Path, pattern: str, split: Split) -> str:
    """Return the pattern with the name of the split's folder filled in, for `root_folder`."""
    marked = [as_spelled(root / pattern.replace("{split}", name)) for name in _names(split)]
    there = [folder for folder in marked if os.path.lexists(folder)]
    return os.path.relpath(there[0], root) if there else pattern.replace("{split}", split)


def _names(split: Split) -> list[str]:
    return [*SPLIT_NAMES[split], *(name.capitalize() for name in SPLIT_NAMES[split])]


def _identity(folder: Path) -> object:
    try:
        status = folder.stat()
    except OSError:  # the error is reported where the folder is opened
        return folder
    return status.st_dev, status.st_ino


def as_spelled(path: Path) -> Path:
    """Return the path with each name as it is on the disk, where only the Unicode form of its letters differs."""
    if os.path.lexists(path) or path == path.parent:
        return path
    parent = as_spelled(path.parent)
    # Letters of ASCII have one form alone, so nothing needs to be listed to look for another.
    if path.name.isascii():
        return parent / path.name
    try:
        alike = [other.name for other in parent.iterdir() if normal(other.name) == normal(path.name)]
    except OSError:
        alike = []
    return parent / (alike[0] if alike else path.name)


def existing_split(root: Path, pattern: str, split: Split) -> Path:
    """Return the folder of a split as `split_folder` does, and check that it exists.

    Raises:
        DataError: There are several folders of the split, or none that can be read.
    """
    others = SPLIT_NAMES[split][1:] if "{split}" in pattern else ()
    return existing_folder(split_folder(root, pattern, split), others)


def existing_folder(folder: Path, other_names: Sequence[str] = ()) -> Path:
    """Check that a folder exists, and return it.

    Args:
        folder: The path.
        other_names: Further names that the folder may have, for the error message.

    Raises:
        DataError: The path does not exist, is not a folder, or cannot be read.
    """
    try:
        if stat.S_ISDIR(folder.stat().st_mode):
            return folder
        problem = "is a file, not a folder"
    except FileNotFoundError:
        problem = "is a link to nothing" if folder.is_symlink() else "does not exist"
        problem += f", nor does one named {' or '.join(other_names)}" if other_names else ""
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    raise DataError(f"data folder {str(folder)!r} {problem}; docs/data.md shows what data.root must hold")


def folders_near(folder: Path, markers: Sequence[str]) -> list[Path]:
    """Return folders that hold all the markers: the nearest within two levels above, else all within two levels below.

    Args:
        folder: The folder to start from, which is not searched itself.
        markers: Names or relative paths.
    """
    for candidate in _absolute(folder).parents[:2]:
        if _holds(candidate, markers):
            return [candidate]
    below = _folders_in(folder)
    found = [candidate for candidate in below if _holds(candidate, markers)]
    return found or [inner for outer in below for inner in _folders_in(outer) if _holds(inner, markers)]


def _holds(folder: Path, markers: Iterable[str]) -> bool:
    # A link to nothing counts, too: the error is reported where it is opened.
    return all(os.path.lexists(folder / marker) for marker in markers)


def _folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder, or none if it cannot be read: a mere hint is not worth an error."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir())
    except OSError:
        return []


def _where(folder: Path, found: Path) -> str:
    levels = len(_absolute(folder).parts) - len(_absolute(found).parts)
    return f"{('one level', 'two levels')[abs(levels) - 1]} {'above' if levels > 0 else 'below'}"


def _absolute(folder: Path) -> Path:
    return Path(os.path.abspath(folder))  # noqa: PTH100 - Path.absolute() keeps `..`, resolve() follows links


@contextmanager
def listing_folders_once() -> Iterator[None]:
    """List each folder at most once: a search over the number of clusters opens its data set once for each number."""
    global _listed
    _listed = {}
    try:
        yield
    finally:
        _listed = None


_listed: dict[Path, list[Path]] | None = None
"""Folder -> its content while folders are listed once; else None."""


def _inside(folder: Path) -> list[Path]:
    if _listed is None:
        return list(folder.iterdir())
    if folder not in _listed:
        _listed[folder] = list(folder.iterdir())
    return _listed[folder]


def contents(folders: Iterable[Path]) -> list[Path]:
    """Return everything in the folders, sorted, but for files of file managers; a file among the folders holds nothing.

    Raises:
        DataError: Some cannot be read, or hold names that are not UTF-8; the error names all of them.
    """
    found: list[Path] = []
    problems = []
    for folder in folders:
        try:
            found += (path for path in _inside(folder) if not _is_of_file_manager(path.name))
        except NotADirectoryError:
            continue
        except OSError as error:
            problems.append(f"{folder}: {error.strerror}")
    if problems:
        raise DataError(f"{len(problems)} data folders cannot be read:{listed(problems)}", problems)
    foreign = [f"{str(path)!r}" for path in found if not _is_utf8(path.name)]
    if foreign:
        raise DataError(f"names must be UTF-8, but {len(foreign)} are not; rename them:{listed(foreign)}", foreign)
    return sorted(found)


def real(path: Path) -> Path:
    """Return the path with links resolved; a circle of links stays as it is."""
    return Path(os.path.realpath(path))


def _is_utf8(name: str) -> bool:
    # Python returns bytes that do not decode as lone surrogates.
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _is_of_file_manager(name: str) -> bool:
    return name.startswith("._") or name in _OF_FILE_MANAGERS
