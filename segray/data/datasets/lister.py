"""Folders -> files by name -> pairs of a photo and its label; whatever no pair is made of is kept account of."""

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
"""Of formats that can keep every value as it was written."""
PHOTO_EXTENSIONS: Final = LABEL_EXTENSIONS | JPEG_EXTENSIONS


class Entry(NamedTuple):
    """A file somewhere below a folder."""

    place: str
    """Its own folder as seen from there, normal form, with ``/`` at the end; empty for the folder itself"""
    path: Path


class Tree(NamedTuple):
    """All that lies below a folder."""

    files: list[Entry]
    places: set[str]
    """As in Entry; those of empty folders too"""


@dataclass
class Lister:
    """Lists the folders of one data set, and keeps account of the files that it passes over."""

    unused: list[Unused] = field(default_factory=list)

    def photos(self, folder: Path) -> dict[str, Path]:
        """The photos that lie in a folder, by stem.

        Raises:
            DataError: The folder cannot be read, or a stem occurs twice.
        """
        return self._by_stem(folder, PHOTO_EXTENSIONS)

    def labels(self, folder: Path) -> dict[str, Path]:
        """The label files that lie in a folder, by stem.

        Raises:
            DataError: The folder cannot be read, or a stem occurs twice.
        """
        return self._by_stem(folder, LABEL_EXTENSIONS)

    def by_ending(
        self, folder: Path, ending: str, extensions: Collection[str], companions: Collection[str] = ()
    ) -> dict[str, Path]:
        """The files one folder below, by what stands before the end of their stems, such as ``_gtFine_labelIds``.

        Args:
            folder: A folder of folders.
            ending: The letters' case counts in what the layout names, but not in the extension.
            extensions: Those of the files.
            companions: Ends of stems that the layout has beside, which need no mention.

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
        """All files in a folder and in its sub-folders, but for a folder `apart` and hidden ones.

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
        """Take account of a file, or of all files in a folder."""
        if not path.is_dir():
            self.unused.append(Unused(path, why))
            return
        why = "in hidden folders" if path.name.startswith(".") else "in sub-folders"
        try:
            below = list(_walk(path, "", (real(path),)))
        except DataError:  # nothing in it is used, so what is wrong with it is no reason to stop
            self.unused.append(Unused(path, why))
        else:
            self.unused += [Unused(entry.path, why) for entry, is_folder in below if not is_folder]

    def match(
        self, photos: Mapping[str, Path], labels: Mapping[str, Path], photo_folder: Path, label_folder: Path
    ) -> list[Pair]:
        """Pairs of photos and labels that share a name, in order of the names; what lacks its partner is a pair too.

        Args:
            photos: Name of the pair -> file.
            labels: The same for labels.
            photo_folder: Where the photos were looked for.
            label_folder: Where the labels were looked for.

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
    """Why a file of another extension is not used."""
    extension = path.suffix.lower()
    if extension in PHOTO_EXTENSIONS - {*extensions}:
        return f"{extension} among labels"
    return extension or "without an extension"


def by_name(named: Iterable[tuple[str, Path]], rename: Callable[[str], str] = str) -> dict[str, Path]:
    """Files by their names in Unicode's composed form (NFC), since macOS decomposes names that other systems keep.

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
    """Everything below a folder, and whether it is a folder; links back to a folder above are not followed."""
    for path in contents([folder]):
        # What has an image's name is opened as one, so that an error says what else it is.
        if path.suffix.lower() in PHOTO_EXTENSIONS or not path.is_dir():
            yield Entry(place, path), False
            continue
        resolved = real(path)
        if resolved == apart or resolved in above:
            continue
        inner = f"{place}{normal(path.name)}/"
        yield Entry(inner, path), True
        yield from _walk(path, inner, (*above, resolved), apart)
