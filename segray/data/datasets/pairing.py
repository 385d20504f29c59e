"""What every data set gives: pairs of a photo and its label file, checked for gaps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol

from segray.errors import ConfigError, DataError, listed
from segray.labels import LabelSpace

Split = Literal["train", "val"]
SPLITS: Final[tuple[Split, ...]] = ("train", "val")


class Pair(NamedTuple):
    """One photo and its label file."""

    name: str
    """What the two file names share"""
    photo: Path
    label: Path


class Dataset(Protocol):
    """A data set, opened from a DataConfig: its classes and the files of its splits."""

    label_space: LabelSpace

    def pairs(self, split: Split) -> list[Pair]:
        """Every photo of a split with its label, by name.

        Raises:
            DataError: A folder is missing or empty, or a photo or a label lacks its partner.
        """


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
        raise DataError(f"{len(problems)} data folders cannot be read:{listed(problems)}")
    return sorted(found)


def match(photos: Mapping[str, Path], labels: Mapping[str, Path], photo_folder: Path, label_folder: Path) -> list[Pair]:
    """Pairs of the photos and labels that share a key, in order of the keys; a pair's name is its key's last part.

    Args:
        photos: Key, such as ``city/stem``, -> file.
        labels: The same for labels.
        photo_folder: Where the photos were looked for.
        label_folder: Where the labels were looked for.

    Raises:
        DataError: There are no photos or no labels, or some lack their partner; all of those are named.
    """
    for files, kind, folder in ((photos, "images", photo_folder), (labels, "labels", label_folder)):
        if not files:
            raise DataError(f"data folder {str(folder)!r} holds no {kind}")
    problems = [
        f"{len(alone)} {kind}:{listed(alone)}"
        for alone, kind in (
            ([str(photos[key]) for key in sorted(photos.keys() - labels.keys())], "images without a label"),
            ([str(labels[key]) for key in sorted(labels.keys() - photos.keys())], "labels without an image"),
        )
        if alone
    ]
    if problems:
        raise DataError("every image needs one label of the same name, but there are " + "\nand ".join(problems))
    return [Pair(key.rsplit("/", 1)[-1], photos[key], labels[key]) for key in sorted(photos)]
