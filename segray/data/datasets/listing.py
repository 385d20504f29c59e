"""Folders -> pairs of a photo and its label file, checked for gaps."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from segray.data.dataset import MISSING, Pair
from segray.errors import ConfigError, DataError, listed

PHOTO_EXTENSIONS: Final = frozenset({".png", ".jpg", ".jpeg"})
LABEL_EXTENSIONS: Final = frozenset({".png"})


def root_folder(root: str, markers: Sequence[str] = ()) -> Path:
    """The data set's folder.

    Args:
        root: `data.root`.
        markers: What the folder must hold, such as ``("leftImg8bit", "gtFine")`` or ``("training/image_2",)``.

    Raises:
        ConfigError: None was given.
        DataError: It does not exist, is no folder, cannot be read, or lacks a marker; where a folder one or two levels
            above or below has them all, the message names it.
    """
    if not root:
        raise ConfigError("data.root must name the folder of the data set, but is empty; pass --data or set data.root")
    folder = existing_folder(Path(root).expanduser())
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
        raise DataError(f"{needs}, but that lies {_where(folder, found)}; set data.root to {str(found)!r}")
    there = f"there are {', '.join(held[:5])}" + (", ..." if len(held) > 5 else "") if held else "it is empty"
    raise DataError(f"{needs}, but lacks {' and '.join(missing)}; {there}")


def existing_folder(folder: Path) -> Path:
    """The folder itself.

    Raises:
        DataError: It does not exist, is not a folder, or cannot be looked at.
    """
    try:
        if stat.S_ISDIR(folder.stat().st_mode):
            return folder
        problem = "is a file, not a folder"
    except FileNotFoundError:
        problem = "is a link to nothing" if folder.is_symlink() else "does not exist"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    raise DataError(f"data folder {str(folder)!r} {problem}; docs/data.md shows what data.root must hold")


def folders_near(folder: Path, markers: Sequence[str]) -> list[Path]:
    """Folders that hold all the markers: the nearest one or two levels above, else all one or two levels below.

    Args:
        folder: Where to look from; it is not looked at itself.
        markers: Names or relative paths.
    """
    for candidate in _absolute(folder).parents[:2]:
        if _holds(candidate, markers):
            return [candidate]
    below = _folders_in(folder)
    found = [candidate for candidate in below if _holds(candidate, markers)]
    return found or [inner for outer in below for inner in _folders_in(outer) if _holds(inner, markers)]


def _holds(folder: Path, markers: Iterable[str]) -> bool:
    # A link to nothing counts: what is wrong with it is said where it is opened.
    return all(os.path.lexists(folder / marker) for marker in markers)


def _folders_in(folder: Path) -> list[Path]:
    """Folders to look into for a hint; what cannot be read is not worth an error here."""
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


def contents(folders: Iterable[Path]) -> list[Path]:
    """All that lies in the folders, sorted; what is no folder holds nothing. What macOS adds to archives is left out.

    Raises:
        DataError: Some cannot be read, or hold names that are not UTF-8; all of them are named.
    """
    found: list[Path] = []
    problems = []
    for folder in folders:
        try:
            found += (path for path in folder.iterdir() if not path.name.startswith("._") and path.name != "__MACOSX")
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


def _is_utf8(name: str) -> bool:
    # Bytes that do not decode come as lone surrogates.
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def by_stem(folder: Path, extensions: Collection[str]) -> dict[str, Path]:
    """The files of a folder with one of the extensions, in small letters or capitals, by their stems.

    Raises:
        DataError: The folder cannot be read, or a stem occurs twice.
    """
    return _by_name((path.stem, path) for path in contents([folder]) if path.suffix.lower() in extensions)


def by_suffix(folder: Path, suffix: str) -> dict[str, Path]:
    """The files one folder below, by what stands before their suffix, such as ``_gtFine_labelIds.png``.

    Raises:
        DataError: A folder cannot be read, or a name occurs twice.
    """
    files = contents(contents([folder]))
    # The letters' case counts in what the layout names, but not in the extension.
    ending, _, extension = suffix.rpartition(".")
    return _by_name(
        (path.stem.removesuffix(ending), path)
        for path in files
        if path.stem.endswith(ending) and path.suffix.lower() == f".{extension}"
    )


def _by_name(named: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    twice = []
    for name, path in named:
        if name in files:
            twice.append(f"{files[name]} and {path.name}")
        files[name] = path
    if twice:
        raise DataError(f"a stem must occur once in a folder, but these occur twice:{listed(twice)}", twice)
    return files


def match(photos: Mapping[str, Path], labels: Mapping[str, Path], photo_folder: Path, label_folder: Path) -> list[Pair]:
    """Pairs of the photos and labels that share a name, in order of the names; what lacks its partner is a pair too.

    Args:
        photos: Name of the pair -> file.
        labels: The same for labels.
        photo_folder: Where the photos were looked for.
        label_folder: Where the labels were looked for.

    Raises:
        DataError: There are no photos or no labels.
    """
    for files, kind, folder in ((photos, "images", photo_folder), (labels, "labels", label_folder)):
        if not files:
            raise DataError(f"data folder {str(folder)!r} holds no {kind}")
    return [Pair(name, photos.get(name, MISSING), labels.get(name, MISSING)) for name in sorted({*photos, *labels})]
