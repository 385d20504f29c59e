"""Folders -> pairs of a photo and its label file, checked for gaps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

from segray.data.dataset import Pair
from segray.errors import ConfigError, DataError, listed

PHOTO_EXTENSIONS: Final = frozenset({".png", ".jpg", ".jpeg"})
LABEL_EXTENSIONS: Final = frozenset({".png"})


def root_folder(root: str) -> Path:
    """The data set's folder.

    Raises:
        ConfigError: None was given.
        DataError: It does not exist.
    """
    if not root:
        raise ConfigError("data.root must name the folder of the data set, but is empty; pass --data or set data.root")
    return existing_folder(Path(root).expanduser())


def existing_folder(folder: Path) -> Path:
    """The folder itself.

    Raises:
        DataError: It does not exist, is not a folder, or cannot be looked at.
    """
    try:
        if folder.is_dir():
            return folder
        problem = "is not a folder" if folder.exists() else "does not exist"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    raise DataError(f"data folder {str(folder)!r} {problem}; docs/data.md shows what data.root must hold")


def contents(folders: Iterable[Path]) -> list[Path]:
    """All that lies in the folders, sorted; what is no folder holds nothing.

    Raises:
        DataError: Some cannot be read; all of them are named.
    """
    found: list[Path] = []
    problems = []
    for folder in folders:
        try:
            found += folder.iterdir()
        except NotADirectoryError:
            continue
        except OSError as error:
            problems.append(f"{folder}: {error.strerror}")
    if problems:
        raise DataError(f"{len(problems)} data folders cannot be read:{listed(problems)}", problems)
    return sorted(found)


def by_stem(folder: Path, extensions: Collection[str]) -> dict[str, Path]:
    """The files of a folder with one of the extensions, in small letters or capitals, by their stems.

    Raises:
        DataError: The folder cannot be read, or a stem occurs twice.
    """
    files: dict[str, Path] = {}
    twice = []
    for path in contents([folder]):
        if path.suffix.lower() in extensions:
            if path.stem in files:
                twice.append(f"{files[path.stem]} and {path.name}")
            files[path.stem] = path
    if twice:
        raise DataError(f"a stem must occur once in a folder, but these occur twice:{listed(twice)}", twice)
    return files


def match(photos: Mapping[str, Path], labels: Mapping[str, Path], photo_folder: Path, label_folder: Path) -> list[Pair]:
    """Pairs of the photos and labels that share a name, in order of the names.

    Args:
        photos: Name of the pair -> file.
        labels: The same for labels.
        photo_folder: Where the photos were looked for.
        label_folder: Where the labels were looked for.

    Raises:
        DataError: There are no photos or no labels, or some lack their partner; all of those are named.
    """
    for files, kind, folder in ((photos, "images", photo_folder), (labels, "labels", label_folder)):
        if not files:
            raise DataError(f"data folder {str(folder)!r} holds no {kind}")
    without_label = [str(photos[name]) for name in sorted(photos.keys() - labels.keys())]
    without_image = [str(labels[name]) for name in sorted(labels.keys() - photos.keys())]
    if without_label or without_image:
        problems = [
            f"{len(alone)} {kind}:{listed(alone)}"
            for alone, kind in ((without_label, "images without a label"), (without_image, "labels without an image"))
            if alone
        ]
        raise DataError(
            "every image needs one label of the same name, but there are " + "\nand ".join(problems),
            [f"{path}: has no label" for path in without_label] + [f"{path}: has no image" for path in without_image],
        )
    return [Pair(name, photos[name], labels[name]) for name in sorted(photos)]
