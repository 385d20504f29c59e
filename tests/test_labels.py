import pytest
from pydantic import ValidationError

from segray.labels import IGNORE_INDEX, LabelSpace, distinct_colors


def space(**changes):
    values = {
        "names": ("road", "car"),
        "colors": ((1, 2, 3), (4, 5, 6)),
        "raw_to_train": {7: 0, 26: 1, 0: IGNORE_INDEX},
    }
    return LabelSpace(**{**values, **changes})


def test_void_is_black_in_the_palette():
    assert tuple(space().palette()[1]) == (4, 5, 6)
    assert tuple(space().palette()[IGNORE_INDEX]) == (0, 0, 0)


@pytest.mark.parametrize(
    "changes",
    [{"names": ("a", "a")}, {"colors": ((0, 0, 0),)}, {"raw_to_train": {1: 2}}, {"names": (), "colors": ()}],
)
def test_inconsistent_spaces_are_refused(changes):
    with pytest.raises(ValidationError):
        space(**changes)


def test_a_space_stored_by_an_earlier_version_is_read():
    stored = space().model_dump(mode="json")
    assert "ignore_index" not in stored
    assert LabelSpace.model_validate({**stored, "ignore_index": IGNORE_INDEX}) == space()
    with pytest.raises(ValidationError, match="ignore_index"):
        LabelSpace.model_validate({**stored, "ignore_index": 0})


def test_distinct_colors_are_distinct():
    assert len(set(distinct_colors(34))) == 34
