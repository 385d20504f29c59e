"""Maps label values to classes in the `folder` data set, and finds what looks like a mistake in the mapping."""

from __future__ import annotations

from itertools import count, islice
from typing import Final

from segray.config import FolderConfig, set_options
from segray.errors import ConfigError
from segray.labels import IGNORE_INDEX

# Names are compared by their letters alone, so that "don't care", "not_labeled" and "Un-labelled" are found, too.
VOID_NAMES: Final = frozenset(
    [
        "void",
        "unlabelled",
        "unlabeled",
        "notlabelled",
        "notlabeled",
        "nolabel",
        "unannotated",
        "notannotated",
        "ignore",
        "ignored",
        "ignorelabel",
        "dontcare",
        "undefined",
        "unknown",
        "invalid",
        "nodata",
        "none",
    ]
)
NUM_SHOWN: Final = 8
"""Number of classes that a note shows with their ids."""


def raw_to_train(layout: FolderConfig) -> dict[int, int]:
    """Return label value -> training id, or 255 for void.

    Raises:
        ConfigError: Names or ids repeat or overlap, or an id lies outside its range.
    """
    _check_names(layout)
    _check_ids(layout)
    ids = {value: train_id for train_id, value in enumerate(class_ids(layout))}
    return ids | dict.fromkeys(layout.void_ids, IGNORE_INDEX)


def class_ids(layout: FolderConfig) -> tuple[int, ...]:
    """Return the label value of each class: as given, or counted from 0 without the void ids."""
    if layout.class_ids:
        return layout.class_ids
    return tuple(islice((value for value in count() if value not in layout.void_ids), len(layout.classes)))


def id_notes(layout: FolderConfig) -> list[str]:
    """Return notes on what may be a mistake: ids that void ids moved, and classes that are named like void."""
    notes = []
    ids = class_ids(layout)
    if not layout.class_ids and ids[-1] >= len(ids):
        shown = ", ".join(f"{value} {name}" for value, name in list(zip(ids, layout.classes, strict=True))[:NUM_SHOWN])
        rest = f" and so on to {ids[-1]} {layout.classes[-1]}" if len(ids) > NUM_SHOWN else ""
        void = ", ".join(map(str, sorted(layout.void_ids)))
        notes.append(
            f"label ids are counted without the void ids {void}: {shown}{rest}; data.folder.class_ids gives other ids"
        )
    like_void = [name for name in layout.classes if _letters(name) in VOID_NAMES]
    if like_void and len(like_void) < len(layout.classes):
        notes.append(
            f"{_quote(like_void)} {'is a class' if len(like_void) == 1 else 'are classes'} like any other, trained "
            f"and counted in mIoU; to make it void: {_as_void(layout, like_void)}"
        )
    return notes


def void_hint(layout: FolderConfig) -> str:
    """Return the fix for label files that hold one class and void, if void is a class, too."""
    names, ids = layout.classes, class_ids(layout)
    if len(names) == 2 and len(layout.void_ids) == 1:
        values = {"data.folder.class_ids": [ids[0], *layout.void_ids], "data.folder.void_ids": []}
        return f"if {layout.void_ids[0]} is {names[1]}: {set_options(values)}"
    return "if a void id is a class, set data.folder.class_ids and data.folder.void_ids"


def id_hints(layout: FolderConfig) -> dict[int, str]:
    """Return hints for error messages: label value that is neither class nor void -> its likely cause and fix."""
    hints = {}
    if IGNORE_INDEX not in layout.void_ids:
        add_255 = sorted({*layout.void_ids, IGNORE_INDEX})
        hints[IGNORE_INDEX] = f"if 255 is void, data.folder.void_ids must list it: {_option('void_ids', add_255)}"
    num_classes = len(layout.classes)
    if class_ids(layout) == tuple(range(num_classes)):
        add_0 = sorted({*layout.void_ids, 0})
        hints[num_classes] = (
            f"ids begin at 0 = {layout.classes[0]}; if 0 is void and 1 is {layout.classes[0]}: "
            f"{_option('void_ids', add_0)}"
        )
    return hints


def _check_names(layout: FolderConfig) -> None:
    num_classes = len(layout.classes)
    if not 1 <= num_classes <= 254:
        raise ConfigError(
            f"data.folder.classes must list 1 to 254 class names, in the order of their ids, but lists {num_classes}; "
            f"for ids 0 and 1: {_option('classes', ['road', 'car'])}"
        )
    if len(set(layout.classes)) != num_classes:
        raise ConfigError(f"data.folder.classes must be unique, but got {list(layout.classes)}")


def _check_ids(layout: FolderConfig) -> None:
    given, num_classes = layout.class_ids, len(layout.classes)
    for key, values in (("class_ids", given), ("void_ids", layout.void_ids)):
        outside = [value for value in values if not 0 <= value <= 255]
        if outside:
            raise ConfigError(f"data.folder.{key} must lie from 0 to 255, but got {outside}")
    if given and len(given) != num_classes:
        raise ConfigError(
            f"data.folder.class_ids must hold one id for each of the {num_classes} data.folder.classes, in their "
            f"order, but holds {len(given)}: {list(given)}"
        )
    twice = sorted({value for value in given if given.count(value) > 1})
    if twice:
        raise ConfigError(f"data.folder.class_ids must be unique, but {twice} occur twice in {list(given)}")
    both = sorted({*given} & {*layout.void_ids})
    if both:
        void_ids = [value for value in layout.void_ids if value not in both]
        names = [layout.classes[given.index(value)] for value in both]
        raise ConfigError(
            f"an id must be a class or void, but data.folder.class_ids and data.folder.void_ids both hold {both}; for "
            f"{_quote(names)} as classes: {_option('void_ids', void_ids)}; for void: {_as_void(layout, names)}"
        )
    if class_ids(layout)[-1] > 255:
        raise ConfigError(
            f"ids must lie from 0 to 255, but {num_classes} data.folder.classes, counted from 0 without "
            f"{len(layout.void_ids)} data.folder.void_ids, end at {class_ids(layout)[-1]}"
        )
    _check_void_is_no_class(layout)


def _check_void_is_no_class(layout: FolderConfig) -> None:
    """Refuse a list of names that includes void where ids are counted: all later names would be one id off."""
    if layout.class_ids:
        return
    for value in layout.void_ids:
        name = layout.classes[value] if value < len(layout.classes) else ""
        if _letters(name) in VOID_NAMES | {"background"}:
            raise ConfigError(
                f"data.folder.classes must leave out the void id {value}, but its name {value} is {name!r}, which "
                f"would become the class of id {class_ids(layout)[value]}; if {name!r} is void: "
                f"{_option('classes', [other for other in layout.classes if other != name])}; "
                f"if it is a class: {_option('class_ids', list(class_ids(layout)))}"
            )


def _as_void(layout: FolderConfig, names: list[str]) -> str:
    """Return options that make some classes void and leave the ids of the others as they are."""
    ids = dict(zip(layout.classes, class_ids(layout), strict=True))
    kept = [name for name in layout.classes if name not in names]
    values: dict[str, object] = {"data.folder.classes": kept}
    if layout.class_ids:
        values["data.folder.class_ids"] = [ids[name] for name in kept]
    values["data.folder.void_ids"] = sorted({*layout.void_ids, *(ids[name] for name in names)})
    return set_options(values)


def _option(key: str, value: object) -> str:
    return set_options({f"data.folder.{key}": value})


def _letters(name: str) -> str:
    return "".join(filter(str.isalpha, name.lower()))


def _quote(names: list[str]) -> str:
    return ", ".join(map(repr, names))
