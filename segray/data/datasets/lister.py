"""Lists folders, and matches photos and labels by name; keeps account of the files that belong to no pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from segray.data.datasets.root import contents, real
from segray.data.datasets.unused_files import Unused
from segray.data.files.pair import MISSING, Pair, normal
from segray.errors import DataError, listed

JPEG_EXTENSIONS: Final = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})
LABEL_EXTENSIONS: Final = frozenset({".png", ".bmp", ".tif", ".tiff", ".webp"})
"""Extensions of formats that can keep every value as it was written."""
PHOTO_EXTENSIONS: Final = LABEL_EXTENSIONS | JPEG_EXTENSIONS


class Entry(NamedTuple):
    """A file somewhere below a folder."""

    place: str
    """The file's folder, relative to that folder, in normal form, with ``/`` at the end; empty for the folder itself"""
    path: Path


class Tree(NamedTuple):
    """Everything below a folder."""

    files: list[Entry]
    places: set[str]
    """Folders as in Entry, empty ones too"""


@dataclass
class Lister:
    """Lists the folders of one data set, and keeps account of the files that it passes over."""

    unused: list[Unused] = field(default_factory=list)

    def photos(self, folder: Path) -> dict[str, Path]:
        """Return the photos in a folder, by stem.

        Raises:
            DataError: The folder cannot be read, or a stem occurs twice.
        """
        return self._by_stem(folder, PHOTO_EXTENSIONS)

    def labels(self, folder: Path) -> dict[str, Path]:
        """Return the label files in a folder, by stem.

        Raises:
            DataError: The folder cannot be read, or a stem occurs twice.
        """
        return self._by_stem(folder, LABEL_EXTENSIONS)

    def by_ending(
        self, folder: Path, ending: str, extensions: Collection[str], companions: Collection[str] = ()
    ) -> dict[str, Path]:
        """Return the files one folder below whose stems have an ending, by their stems without the ending.

        Args:
            folder: A folder of folders.
            ending: Such as ``_gtFine_labelIds``; the case of its letters counts, but that of the extension does not.
            extensions: Extensions of the files.
            companions: Endings of further files that the layout holds, which are not reported as unused.

        Raises:
            DataError: A folder cannot be read, or a name occurs twice.
        """
        named = []
        inner = contents([folder])
        for path in contents(inner):
            if path.stem.endswith(ending) and path.suffix.lower() in extensions:
                named.append((path.stem.removesuffix(ending), path))
            elif not path.stem.endswith(tuple(companions)):
                is_picture = path.suffix.lower() in extensions
                self.pass_over(path, f"without {ending} at the end" if is_picture else extension_of(path, extensions))
        for path in inner:
            if not path.is_dir():
                self.pass_over(path, "beside the folders of images")
        return by_name(named)

    def tree(self, folder: Path, apart: Path) -> Tree:
        """Return all files in a folder and its sub-folders, but for a folder `apart` and hidden folders.

        Raises:
            DataError: A folder cannot be read.
        """
        found = Tree([], {""})
        for entry, is_folder in _walk(folder, "", (real(folder),), real(apart)):
            if is_folder:
                found.places.add(entry.place)
            elif "/." in f"/{entry.place}":
                self.unused.append(Unused(entry.path, "in hidden folders"))
            else:
                found.files.append(entry)
        return found

    def pass_over(self, path: Path, why: str) -> None:
        """Note a file, or all files in a folder, as unused."""
        if not path.is_dir():
            self.unused.append(Unused(path, why))
            return
        why = "in hidden folders" if path.name.startswith(".") else "in sub-folders"
        try:
            below = list(_walk(path, "", (real(path),)))
        except DataError:  # nothing in the folder is used, so its damage is no reason to stop
            self.unused.append(Unused(path, why))
        else:
            self.unused += [Unused(entry.path, why) for entry, is_folder in below if not is_folder]

    def match(
        self, photos: Mapping[str, Path], labels: Mapping[str, Path], photo_folder: Path, label_folder: Path
    ) -> list[Pair]:
        """Return pairs of photos and labels that share a name, in order of the names.

        A photo or label without a partner makes a pair with MISSING.

        Args:
            photos: Name of the pair -> photo file.
            labels: Name of the pair -> label file.
            photo_folder: Folder of the photos, for the error message.
            label_folder: Folder of the labels, for the error message.

        Raises:
            DataError: There are no photos or no labels.
        """
        for files, kind, folder, extensions in (
            (photos, "images", photo_folder, PHOTO_EXTENSIONS),
            (labels, "labels", label_folder, LABEL_EXTENSIONS),
        ):
            if not files:
                others = Counter(why for path, why in self.unused if path.is_relative_to(folder))
                there = f", but {', '.join(f'{count} {why}' for why, count in others.items())}" if others else ""
                raise DataError(
                    f"data folder {str(folder)!r} holds no {kind}, which end in {', '.join(sorted(extensions))}{there}"
                )
        return [Pair(name, photos.get(name, MISSING), labels.get(name, MISSING)) for name in sorted({*photos, *labels})]

    def _by_stem(self, folder: Path, extensions: Collection[str]) -> dict[str, Path]:
        named = []
        for path in contents([folder]):
            if path.suffix.lower() in extensions:
                named.append((path.stem, path))
            else:
                self.pass_over(path, extension_of(path, extensions))
        return by_name(named)


def extension_of(path: Path, extensions: Collection[str]) -> str:
    """Return the reason why a file of another extension is not used."""
    extension = path.suffix.lower()
    if extension in PHOTO_EXTENSIONS - {*extensions}:
        return f"{extension} among labels"
    return extension or "without an extension"


def by_name(named: Iterable[tuple[str, Path]], rename: Callable[[str], str] = str) -> dict[str, Path]:
    """Return files by their names in Unicode's composed form (NFC), since macOS decomposes names.

    Raises:
        DataError: Two files have one name.
    """
    files: dict[str, Path] = {}
    twice = []
    for written, path in named:
        name = normal(rename(written))
        if name in files:
            alike = normal(path.name) == normal(files[name].name)
            forms = ", the same letters in two Unicode forms" if alike else ""
            twice.append(f"{files[name]} and {path.name}{forms}")
        files[name] = path
    if twice:
        raise DataError(f"a stem must occur once in a folder, but these occur twice:{listed(twice)}", twice)
    return files


def _walk(folder: Path, place: str, above: tuple[Path, ...], apart: Path | None = None) -> Iterator[tuple[Entry, bool]]:
    """Yield everything below a folder, and whether it is a folder; do not follow links back to a folder above."""
    for path in contents([folder]):
        # A folder with the extension of an image counts as a file, so that opening it raises an error that names it.
        if path.suffix.lower() in PHOTO_EXTENSIONS or not path.is_dir():
            yield Entry(place, path), False
            continue
        resolved = real(path)
        if resolved == apart or resolved in above:
            continue
        inner = f"{place}{normal(path.name)}/"
        yield Entry(inner, path), True
        yield from _walk(path, inner, (*above, resolved), apart)
