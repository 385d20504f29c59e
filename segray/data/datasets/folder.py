"""Any data set with a folder of images and a folder of labels; the config names the folders and the classes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from segray.config import DataConfig, FolderConfig, set_options
from segray.data.datasets.dataset import SPLITS, Dataset, Split
from segray.data.datasets.label_ids import id_hints, id_notes, raw_to_train, void_hint
from segray.data.datasets.lister import PHOTO_EXTENSIONS, Lister
from segray.data.datasets.partners import check_names_meet, photos_alone, photos_and_labels
from segray.data.datasets.root import contents, existing_split, marker, real, root_folder, split_folder
from segray.data.datasets.unused_files import Unused
from segray.data.files.pair import Pair
from segray.data.files.readers import FileReader, IdLabels
from segray.errors import ConfigError, DataError
from segray.labels import LabelSpace, distinct_colors


def folder(config: DataConfig) -> Dataset:
    """Images and labels that share their names, in two folders or one for each split, or for all of them."""
    layout = config.folder
    _check(layout)
    table, lister = raw_to_train(layout), Lister()
    root = _root(config.root, layout)
    official: dict[Split, list[Pair]] = {}
    unlabelled: list[Path] = []
    if "{split}" in layout.images:
        test_photos = _test_photos(lister, root, layout)
        splits = SPLITS if test_photos is None else SPLITS[:2]
        official = {split: _named_by_split(lister, root, layout, split) for split in splits}
        unlabelled = test_photos or []
        lister.unused += _of_no_split(root, layout)
    return Dataset(
        label_space=LabelSpace(names=layout.classes, colors=distinct_colors(len(layout.classes)), raw_to_train=table),
        reader=FileReader(IdLabels(table, id_hints(layout))),
        official=official,
        undivided=[] if official else _pairs(lister, root, layout, "train"),
        unlabelled=unlabelled,
        unused=lister.unused,
        void_hint=void_hint(layout),
        notes=id_notes(layout),
    )


def _pairs(lister: Lister, root: Path, layout: FolderConfig, split: Split) -> list[Pair]:
    photo_folder, label_folder = (existing_split(root, pattern, split) for pattern in (layout.images, layout.labels))
    photos, labels = photos_and_labels(lister, photo_folder, label_folder, layout)
    check_names_meet(photos, labels, photo_folder, label_folder, layout)
    return lister.match(photos, labels, photo_folder, label_folder)


def _named_by_split(lister: Lister, root: Path, layout: FolderConfig, split: Split) -> list[Pair]:
    # Splits may share stems, but names of pairs are unique.
    return [pair._replace(name=f"{split}/{pair.name}") for pair in _pairs(lister, root, layout, split)]


def _test_photos(lister: Lister, root: Path, layout: FolderConfig) -> list[Path] | None:
    """Return the photos of a test split without any label; None if the split has labels."""
    photo_folder, label_folder = (split_folder(root, pattern, "test") for pattern in (layout.images, layout.labels))
    if not os.path.lexists(label_folder):
        return photos_alone(lister, photo_folder, layout) if os.path.lexists(photo_folder) else []
    if photo_folder != label_folder:
        return None
    # With an account of its own: if there are labels, the files will be listed again as pairs.
    look = Lister()
    photos, labels = photos_and_labels(look, photo_folder, label_folder, layout)
    if labels:
        return None
    lister.unused += look.unused
    return list(photos.values())


def _of_no_split(root: Path, layout: FolderConfig) -> list[Unused]:
    """Return pictures beside the folders of the splits, and in folders whose names are no split's."""
    patterns = dict.fromkeys((layout.images, layout.labels))
    used = {real(split_folder(root, pattern, split)) for pattern in patterns for split in SPLITS}
    unused: dict[Path, str] = {}
    for pattern in patterns:
        for path, rest in _beside(root, pattern):
            inner = path.joinpath(*rest)
            if path.suffix.lower() in PHOTO_EXTENSIONS:
                unused[path] = "beside the folders of the splits"
            elif inner.is_dir() and not any(folder.is_relative_to(real(inner)) for folder in used):
                look = Lister()
                look.pass_over(inner, "")
                files = [file.path for file in look.unused if file.path.suffix.lower() in PHOTO_EXTENSIONS]
                unused |= dict.fromkeys(files, "in folders of no split")
    return [Unused(path, why) for path, why in unused.items()]


def _beside(root: Path, pattern: str) -> Iterator[tuple[Path, Sequence[str]]]:
    """Yield everything that lies where `{split}` stands in a pattern, with the rest of the pattern below it."""
    parts = Path(pattern).parts
    depth = next(index for index, part in enumerate(parts) if "{split}" in part)
    parent = root.joinpath(*parts[:depth])
    for path in contents([parent]) if parent.is_dir() else ():
        yield path, parts[depth + 1 :]


def _root(root: str, layout: FolderConfig) -> Path:
    folder = root_folder(root)
    _check_is_divided(folder, layout)
    patterns = dict.fromkeys((layout.images, layout.labels))
    return root_folder(root, [marker(folder, pattern, "train") for pattern in patterns])


def _check_is_divided(root: Path, layout: FolderConfig) -> None:
    """Refuse a data set without folders of splits where the layout expects some, and name the options to set.

    Raises:
        DataError: The data set is not divided.
    """
    flat = {key: getattr(layout, key).removesuffix("/{split}") for key in ("images", "labels")}
    if flat["images"] == layout.images or flat["labels"] == layout.labels:
        return
    folders = [root / place for place in flat.values()]
    # Asked first, so that a folder with the expected layout is not listed here.
    if any(os.path.lexists(split_folder(folder, "{split}", split)) for folder in folders for split in SPLITS):
        return
    if all(folder.is_dir() and _has_pictures(folder) for folder in folders):
        options = set_options({f"data.folder.{key}": place for key, place in flat.items()})
        raise DataError(
            f"data folder {str(root)!r} must hold {layout.images} and {layout.labels}, with a folder each for train "
            f"and val, but {' and '.join(flat.values())} have none; to divide the images by data.split: {options}"
        )


def _has_pictures(folder: Path) -> bool:
    return any(path.suffix.lower() in PHOTO_EXTENSIONS for path in contents([folder]))


def _check(layout: FolderConfig) -> None:
    if ("{split}" in layout.images) != ("{split}" in layout.labels):
        raise ConfigError(
            "data.folder.images and data.folder.labels must both hold {split} or neither, "
            f"but got {layout.images!r} and {layout.labels!r}"
        )
    if layout.label_suffix and layout.label_suffix == layout.image_suffix:
        raise ConfigError(
            "data.folder.image_suffix and data.folder.label_suffix must differ, or tell nothing apart, but both are "
            f"{layout.label_suffix!r}; leave both empty where names are the same"
        )
