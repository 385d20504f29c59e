import pickle

import numpy as np
import pytest
from PIL import Image

from segray.data.files.readers import ColorLabels
from segray.errors import DataError

RED, BLUE, BLACK = (255, 0, 0), (0, 0, 255), (0, 0, 0)
DECODE = ColorLabels({RED: 0, BLUE: 1, BLACK: 255})
IDS = np.array([[0, 1, 255], [1, 1, 0]], dtype=np.uint8)


def colors():
    return Image.fromarray(np.array([RED, BLUE, *[BLACK] * 254], dtype=np.uint8)[IDS])


def saved(image, path):
    image.save(path)
    return path


def with_transparency(image):
    image.putalpha(Image.fromarray(np.array([[255, 255, 0], [255, 255, 255]], dtype=np.uint8)))
    return image


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_exact_colors_become_training_ids(tmp_path, mode):
    path = saved(colors().convert(mode), tmp_path / "label.png")
    np.testing.assert_array_equal(DECODE(path).ids, IDS)


def test_other_colors_are_counted_and_shown(tmp_path):
    image = colors()
    image.putpixel((0, 0), (254, 1, 0))
    with pytest.raises(
        DataError, match=r"label\.png: .* but 1 of 6 pixels have 1 other colours, such as \(254, 1, 0\)"
    ):
        DECODE(saved(image, tmp_path / "label.png"))


def test_ids_in_place_of_colors_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"label\.png: .* in the classes' colours .* but its mode is L$"):
        DECODE(saved(Image.fromarray(IDS), tmp_path / "label.png"))


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_transparent_pixels_are_refused(tmp_path, mode):
    image = with_transparency(colors()) if mode == "RGBA" else colors().convert("P")
    image.save(tmp_path / "label.png", **({"transparency": b"\x00" * 256} if mode == "P" else {}))
    with pytest.raises(DataError, match=r"label\.png: .* must be opaque"):
        DECODE(tmp_path / "label.png")


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "label.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"label\.png: the file is empty"):
        DECODE(tmp_path / "label.png")


def test_the_key_follows_the_mapping_and_not_its_order():
    assert DECODE.key == ColorLabels({BLACK: 255, BLUE: 1, RED: 0}).key
    assert DECODE.key != ColorLabels({RED: 1, BLUE: 0, BLACK: 255}).key


def test_it_pickles_small_and_decodes_the_same(tmp_path):
    path = saved(colors(), tmp_path / "label.png")
    DECODE(path)
    again = pickle.dumps(DECODE)
    assert len(again) < 1000
    np.testing.assert_array_equal(pickle.loads(again)(path).ids, IDS)
