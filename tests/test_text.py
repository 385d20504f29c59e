import pytest

from segray import text


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (3600 * 76, "3 d 4 h")],
)
def test_duration_takes_the_two_units_that_matter(seconds, expected):
    assert text.duration(seconds).replace("\u00a0", " ") == expected


@pytest.mark.parametrize(("names", "expected"), [("a", "a"), ("ab", "a and b"), ("abc", "a, b and c")])
def test_names_are_a_list_in_a_sentence(names, expected):
    assert text.joined(names) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "none"),
        (float("nan"), "none"),
        (True, "true"),
        (8, "8"),
        (0.000316227, "0.000316"),
        (1e-6, "1e-6"),
        ([160, 224], "160×224"),
        ([64, 128, 256], "[64, 128, 256]"),
        ([1.0, 0.5], "[1, 0.5]"),
        ("a_b", "a_b"),
        ((3000.0, 1000.0, 0.5), "[3000, 1000, 0.5]"),
        (1e6, "1e+6"),
        (-0.0, "0"),
    ],
)
def test_value_is_what_a_person_would_write(content, expected):
    assert text.value(content) == expected


def test_fractions_are_per_cent_and_differences_points():
    assert text.percent(0.4234) == "42.3\u00a0%"
    assert text.percent(None) == text.percent(float("nan")) == "–"
    assert text.points(0.0449) == "+4.5\u00a0points"
    assert text.points(-0.01) == "−1.0\u00a0points"


def test_ranges_have_no_unit_and_counts_their_noun():
    assert text.percent_range(0.517, 0.526) == "51.7 to 52.6"
    assert text.points_range(-0.009, 0.052) == "−0.9 to +5.2"
    assert (text.counted(1, "seed"), text.counted(3, "seed")) == ("1 seed", "3 seeds")


def test_sizes_of_data_are_in_the_unit_that_fits():
    assert (text.data_size(200_000), text.data_size(7_340_000_000)) == ("0.2 MB", "7.3 GB")
