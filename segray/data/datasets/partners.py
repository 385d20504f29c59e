"""Tells photos from labels in the `folder` data set, and finds the part of their names that partners share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import chain, takewhile
from pathlib import Path
from typing import Final

from segray.config import FolderConfig, set_options
from segray.data.datasets.lister import (
    JPEG_EXTENSIONS,
    LABEL_EXTENSIONS,
    PHOTO_EXTENSIONS,
    Entry,
    Lister,
    by_name,
    extension_of,
)
from segray.data.datasets.root import real
from segray.data.files.pair import normal
from segray.errors import DataError

Files = dict[str, Path]

NUM_TRIED: Final = 5
"""Number of images whose names are compared with those of all labels, to find the suffixes of both."""


def photos_and_labels(
    lister: Lister, photo_folder: Path, label_folder: Path, layout: FolderConfig
) -> tuple[Files, Files]:
    """Return the photos and the labels in two folders or one, with their sub-folders, by the name that partners share.

    Raises:
        DataError: A folder cannot be read, a name occurs twice, or no label has the name of a photo.
    """
    together = real(photo_folder) == real(label_folder)
    photo_tree = lister.tree(photo_folder, apart=label_folder)
    label_tree = photo_tree if together else lister.tree(label_folder, apart=photo_folder)
    photos: list[tuple[str, Path]] = []
    labels: list[tuple[str, Path]] = []
    for entry in photo_tree.files:
        if together and _is_label(entry.path, layout):
            labels += _name_file(lister, entry, LABEL_EXTENSIONS, layout.label_suffix)
        elif entry.place in label_tree.places:
            photos += _name_file(lister, entry, PHOTO_EXTENSIONS, layout.image_suffix)
        else:
            lister.pass_over(entry.path, "in sub-folders without labels")
    for entry in () if together else label_tree.files:
        if entry.place in photo_tree.places:
            labels += _name_file(lister, entry, LABEL_EXTENSIONS, layout.label_suffix)
        else:
            lister.pass_over(entry.path, "in sub-folders without images")
    return by_name(photos), by_name(labels)


def photos_alone(lister: Lister, folder: Path, layout: FolderConfig) -> list[Path]:
    """Return the photos in a folder that has no labels.

    Raises:
        DataError: The folder cannot be read, or a name occurs twice.
    """
    files = lister.tree(folder, apart=folder).files
    named = [_name_file(lister, entry, PHOTO_EXTENSIONS, layout.image_suffix) for entry in files]
    return list(by_name(chain.from_iterable(named)).values())


def check_names_meet(
    photos: Files, labels: Files, photo_folder: Path, label_folder: Path, layout: FolderConfig
) -> None:
    """Check that some label has the name of a photo.

    Raises:
        DataError: No label has; if the names differ in a suffix, the message says how to set it.
    """
    together = real(photo_folder) == real(label_folder)
    if photos.keys() & labels.keys() or not (photos or labels) or not (together or (photos and labels)):
        return
    # In one folder, names alone tell photos from labels, so all files may have been taken for one kind.
    some = {**labels, **photos} if together else photos
    suffixes = seen_suffixes(some, labels or photos)
    if suffixes is None and not (photos and labels) and layout.label_suffix:
        return  # there really is only one kind, which another message reports
    needs = (
        f"data folder {str(photo_folder)!r} holds images and labels, so their names must tell which is which"
        if together
        else f"no label in {str(label_folder)!r} has the name of an image in {str(photo_folder)!r}"
    )
    if suffixes is None:
        raise DataError(
            f"{needs}: a label's stem must be its image's and data.folder.label_suffix, such as _mask for "
            f"a_mask.png beside a.jpg; there are {_examples(photos, labels)}"
        )
    values = {}
    for key, files, suffix in zip(("image_suffix", "label_suffix"), (photos, labels), suffixes, strict=True):
        if suffix:  # names in `files` have lost the suffix that is set already, so the new one stands before it
            values[f"data.folder.{key}"] = suffix + (getattr(layout, key) if files else "")
    options = set_options(values)
    raise DataError(f"{needs}; there are {_examples(photos, labels)}, so set: {options}")


def seen_suffixes(photos: Collection[str], labels: Collection[str]) -> tuple[str, str] | None:
    """Return the suffixes of most images' names and of most labels' names, beyond the part that partners share.

    Return None if no suffixes fit.
    """
    tried = [pair for name in sorted(photos)[:NUM_TRIED] if (pair := _suffixes(name, labels)) is not None]
    if not tried:
        return None

    def num_met(suffixes: tuple[str, str]) -> int:
        stems = [
            {name.removesuffix(suffix) for name in names if name.endswith(suffix)}
            for names, suffix in zip((photos, labels), suffixes, strict=True)
        ]
        return len(stems[0] & stems[1])

    best = max(tried, key=num_met)
    return best if 3 * num_met(best) >= len(labels) else None


def _suffixes(photo: str, labels: Collection[str]) -> tuple[str, str] | None:
    """Return the endings in which a photo's name and the most similar label name differ, from a separator on."""
    shared = {label: _common_start(photo, label).rstrip("_-. ") for label in labels if label != photo}
    label = max(shared, key=lambda name: (len(shared[name]), -len(name)), default="")
    common = shared.get(label, "")
    if not common or common.endswith("/"):
        return None
    return photo.removeprefix(common), label.removeprefix(common)


def _common_start(first: str, second: str) -> str:
    return "".join(a for a, b in takewhile(lambda letters: letters[0] == letters[1], zip(first, second, strict=False)))


def _is_label(path: Path, layout: FolderConfig) -> bool:
    """Return whether a file that lies beside photos is a label: by the suffixes, or else because it is no JPEG."""
    stem = normal(path.stem)
    if layout.label_suffix:
        return stem.endswith(normal(layout.label_suffix))
    if layout.image_suffix:
        return not stem.endswith(normal(layout.image_suffix))
    return path.suffix.lower() not in JPEG_EXTENSIONS


def _name_file(lister: Lister, entry: Entry, extensions: Collection[str], suffix: str) -> list[tuple[str, Path]]:
    """Return a file with the name that partners share; an empty list if the file is not of its kind."""
    stem, suffix = normal(entry.path.stem), normal(suffix)
    if entry.path.suffix.lower() not in extensions:
        lister.pass_over(entry.path, extension_of(entry.path, extensions))
    elif not stem.endswith(suffix):
        lister.pass_over(entry.path, f"without {suffix} at the end")
    else:
        return [(entry.place + stem.removesuffix(suffix), entry.path)]
    return []


def _examples(photos: Mapping[str, Path], labels: Mapping[str, Path]) -> str:
    return ", ".join(path.name for files in (photos, labels) for path in list(files.values())[:3]) + ", ..."
