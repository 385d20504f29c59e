"""Ids of the `folder` data set's classes: counted beside void ids, or given; never off by one in silence."""

import shlex

import numpy as np
import pytest
from PIL import Image

from segray.config import FolderConfig, RunConfig
from segray.data.datasets.label_ids import class_ids, id_notes, raw_to_train
from segray.data.splits.split_record import record_splits
from segray.data.tools.check import check
from segray.errors import ConfigError
from segray.tuning.options import parse_values

ROADS = ("road", "car", "sky")


@pytest.fixture
def config(tmp_path):
    """A function of `data.folder` values -> config of five images whose labels hold the given ids."""

    def write(ids, **values):
        rows = np.array(ids, np.uint8).repeat(4)[:, None].repeat(16, 1)
        rng = np.random.default_rng(0)
        for index in range(5):
            photo = rng.integers(0, 255, (*rows.shape, 3), dtype=np.uint8)
            for kind, array in (("images", photo), ("labels", rows)):
                (tmp_path / kind).mkdir(exist_ok=True)
                Image.fromarray(array).save(tmp_path / kind / f"{index}.png")
        layout = {"images": "images", "labels": "labels", **values}
        keys = {f"data.folder.{key}": value for key, value in layout.items()}
        return RunConfig().with_values({"data.dataset": "folder", "data.root": str(tmp_path), **keys}).data

    return write


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {0: 0, 1: 1, 2: 2, 255: 255}),
        ({"void_ids": ()}, {0: 0, 1: 1, 2: 2}),
        ({"void_ids": (3, 254)}, {0: 0, 1: 1, 2: 2, 3: 255, 254: 255}),
        ({"void_ids": (0,)}, {0: 255, 1: 0, 2: 1, 3: 2}),
        ({"void_ids": (0, 255)}, {0: 255, 1: 0, 2: 1, 3: 2, 255: 255}),
        ({"void_ids": (1,)}, {0: 0, 1: 255, 2: 1, 3: 2}),
        ({"void_ids": (255, 0, 2)}, {0: 255, 1: 0, 2: 255, 3: 1, 4: 2, 255: 255}),
        ({"class_ids": (1, 2, 3), "void_ids": (0,)}, {0: 255, 1: 0, 2: 1, 3: 2}),
        ({"class_ids": (7, 26, 0)}, {7: 0, 26: 1, 0: 2, 255: 255}),
        ({"class_ids": (0, 128, 255), "void_ids": ()}, {0: 0, 128: 1, 255: 2}),
    ],
)
def test_ids_are_counted_beside_void_ids_or_given(values, expected):
    assert raw_to_train(FolderConfig(classes=ROADS, **values)) == expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"void_ids": (256,)}, r"void_ids must lie from 0 to 255, but got \[256\]"),
        ({"void_ids": (-1,)}, r"void_ids must lie from 0 to 255, but got \[-1\]"),
        ({"class_ids": (0, 1, 300)}, r"class_ids must lie from 0 to 255, but got \[300\]"),
        ({"class_ids": (0, 1)}, r"class_ids must hold one id for each of the 3 .* holds 2: \[0, 1\]"),
        ({"class_ids": (1, 2, 1)}, r"class_ids must be unique, but \[1\] occur twice in \[1, 2, 1\]"),
        (
            {"class_ids": (0, 2, 255)},
            r"both hold \[255\]; for 'sky' as classes: --set 'data\.folder\.void_ids=\[\]'; for void: "
            r"--set 'data\.folder\.classes=\[road, car\]' --set 'data\.folder\.class_ids=\[0, 2\]' "
            r"--set 'data\.folder\.void_ids=\[255\]'",
        ),
        ({"classes": tuple(map(str, range(254))), "void_ids": (0, 1, 2)}, "end at 256"),
        (
            {"classes": ("Un-labelled", *ROADS), "void_ids": (0,)},
            r"must leave out the void id 0, but its name 0 is 'Un-labelled', which would become the class of id 1; if "
            r"'Un-labelled' is void: --set 'data\.folder\.classes=\[road, car, sky\]'; if it is a class: "
            r"--set 'data\.folder\.class_ids=\[1, 2, 3, 4\]'",
        ),
        ({"classes": ("background", "road"), "void_ids": (0, 255)}, "must leave out the void id 0"),
        ({"classes": ("road", "car", "void", "sky"), "void_ids": (2,)}, "must leave out the void id 2"),
    ],
)
def test_ids_that_cannot_be_meant_are_refused_with_the_fix(values, message):
    with pytest.raises(ConfigError, match=message):
        raw_to_train(FolderConfig(**{"classes": ROADS, **values}))


@pytest.mark.parametrize(
    ("values", "ids"), [({"void_ids": (0,)}, [0, 1, 2, 3]), ({"class_ids": (7, 26, 23)}, [7, 26, 23, 255])]
)
def test_labels_decode_to_the_classes_of_their_ids(config, values, ids):
    report = check(config(ids, classes=ROADS, **values))
    assert not report.problems
    assert [(count.name, count.pixels) for count in report.classes] == [(name, 5 * 64) for name in ROADS]
    assert report.void.pixels == 5 * 64


def test_ids_that_void_ids_move_are_shown(config):
    notes = check(config([0, 1, 2, 3], classes=ROADS, void_ids=(0,))).notes
    assert notes == [
        "label ids are counted without the void ids 0: 1 road, 2 car, 3 sky; data.folder.class_ids gives other ids"
    ]


def test_many_moved_ids_are_shown_in_short():
    layout = FolderConfig(classes=tuple(f"class {index}" for index in range(150)), void_ids=(0,))
    assert " 8 class 7 and so on to 150 class 149;" in id_notes(layout)[0]


@pytest.mark.parametrize(
    ("values", "fix"),
    [
        ({"classes": ("unlabelled", *ROADS)}, "classes=[road, car, sky]' --set 'data.folder.void_ids=[0, 255]'"),
        ({"classes": (*ROADS, "Don't care")}, "classes=[road, car, sky]' --set 'data.folder.void_ids=[3, 255]'"),
        (
            {"classes": ("void", *ROADS), "class_ids": (9, 1, 2, 3)},
            "class_ids=[1, 2, 3]' --set 'data.folder.void_ids=[9, 255]'",
        ),
    ],
)
def test_a_counted_class_that_is_named_like_void_is_a_note_whose_fix_keeps_all_ids(values, fix):
    layout = FolderConfig(**values)
    (note,) = id_notes(layout)
    assert "is a class like any other, trained and counted in mIoU" in note
    assert fix in note
    kept = [name for name in layout.classes if name in ROADS]
    before = dict(zip(layout.classes, class_ids(layout), strict=True))
    words = shlex.split(note.partition(": ")[2])
    given = parse_values(words[1::2], RunConfig().flat())
    after = RunConfig().with_values(given).data.folder
    assert dict(zip(kept, class_ids(after), strict=True)) == {name: before[name] for name in kept}


@pytest.mark.parametrize("classes", [("background", *ROADS), ROADS, ("unlabelled",)])
def test_other_names_are_no_note(classes):
    assert id_notes(FolderConfig(classes=classes)) == []


def test_a_label_that_may_count_from_1_is_hinted_at(config):
    (problem, *_) = check(config([0, 1, 2, 3], classes=ROADS)).problems
    assert problem.endswith("ids begin at 0 = road; if 0 is void and 1 is road: --set 'data.folder.void_ids=[0, 255]'")


def test_records_of_earlier_versions_still_name_the_same_labels(write_images):
    """The key is what the version without `class_ids` wrote for these classes."""
    config = write_images(((16, 16),) * 2)
    assert record_splits(config).labels.keys() == {"c9fabb98ae4d"}
    other = config.folder.model_copy(update={"class_ids": (2, 1, 0)})
    assert record_splits(config.model_copy(update={"folder": other})).labels.keys() != {"c9fabb98ae4d"}
