"""Palettes of label files: what their indices mean, within a file and across files."""

from pathlib import Path

import numpy as np
import pytest

from segray.data.files.palettes import disagreements, palette_ids, used_colors
from segray.errors import DataError

LABEL = Path("label.png")


def greys(*values):
    return np.repeat(np.array(values, np.uint8)[:, None], 3, axis=1)


def colored(*values):
    return np.array(values, np.uint8)


def used(*values):
    return np.array(values, np.intp)


RED, BLUE, BLACK, GREY = (255, 0, 0), (0, 0, 255), (0, 0, 0), (70, 70, 70)


def test_renumbered_greys_are_the_ids():
    ids = palette_ids(LABEL, greys(3, 11, 0), used(0, 1, 2))
    assert ids[[0, 1, 2]].tolist() == [3, 11, 0]


def test_greys_that_equal_their_indices_are_the_ids_too():
    assert palette_ids(LABEL, greys(*range(256)), used(0, 7, 255))[[0, 7, 255]].tolist() == [0, 7, 255]


def test_an_entry_of_any_color_makes_indices_the_ids_though_only_greys_occur():
    assert palette_ids(LABEL, colored(BLACK, RED, GREY), used(0, 2))[[0, 2]].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("entries", "indices"),
    [
        (greys(0, 0), used(0, 1)),
        (greys(*[0] * 256), used(1)),
        (greys(*[9] * 256), used(2)),
        (greys(0, 255), used(0, 1)),
        (greys(255, 0), used(0)),
        (greys(3, 11, 3), used(0, 1)),
    ],
)
def test_greys_that_may_not_be_the_ids_are_refused(entries, indices):
    with pytest.raises(DataError, match=r"label\.png: its palette has grey \d+ at index \d+, so the ids may be"):
        palette_ids(LABEL, entries, indices)


def test_an_index_without_an_entry_is_refused_among_greys_alone():
    assert palette_ids(LABEL, colored(BLACK, RED), used(0, 255))[255] == 255
    with pytest.raises(DataError, match="holds index 255, but its palette of greys has only 2 entries"):
        palette_ids(LABEL, greys(0, 1), used(0, 255))


def problems(*palettes):
    files = [Path(f"{index}.png") for index in range(len(palettes))]
    return disagreements(files, [used_colors(entries, indices) for entries, indices in palettes])


def test_the_file_whose_palette_differs_from_most_is_named():
    usual = (colored(BLACK, RED, BLUE), used(0, 1, 2))
    found = problems(usual, (colored(BLACK, BLUE), used(0, 1)), usual)
    assert len(found) == 1
    assert found[0].startswith("1.png: index 1 of its palette has the colour [0, 0, 255], but [255, 0, 0] in 2 other ")


def test_colors_that_do_not_occur_may_differ():
    assert problems((colored(BLACK, RED), used(0, 1)), (colored(BLACK, RED, BLUE), used(0, 1))) == []
    assert problems((colored(BLACK, RED, RED), used(0, 1)), (colored(BLACK, RED, BLUE), used(0, 2))) == []


def test_palettes_of_greys_have_no_say():
    assert problems((colored(BLACK, RED), used(0, 1)), (greys(*range(256)), used(0, 1))) == []
