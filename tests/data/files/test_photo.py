import numpy as np
import pytest
from PIL import ExifTags, Image

from segray.data.files.photo import photo_array
from segray.errors import DataError

GRAY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
RGB = np.stack([GRAY, 255 - GRAY, GRAY // 2], axis=2)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (GRAY, np.stack([GRAY] * 3, axis=2)),
        (GRAY[..., None], np.stack([GRAY] * 3, axis=2)),
        (RGB, RGB),
        (np.dstack([RGB, GRAY]), RGB),
        (RGB.astype(np.uint16) * 257, RGB),
        (GRAY.astype(np.uint16) * 256 + 255, np.stack([GRAY] * 3, axis=2)),
        (RGB[:, ::-1], RGB[:, ::-1]),
    ],
)
def test_arrays(array, expected):
    found = photo_array(array)
    assert found.dtype == np.uint8
    assert (found == expected).all()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_files_and_images(tmp_path, suffix):
    Image.fromarray(RGB).save(tmp_path / f"photo{suffix}")
    assert (photo_array(tmp_path / f"photo{suffix}") == RGB).all()
    assert (photo_array(str(tmp_path / f"photo{suffix}")) == RGB).all()
    with Image.open(tmp_path / f"photo{suffix}") as image:
        assert (photo_array(image) == RGB).all()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_gray_of_16_bits(tmp_path, suffix):
    Image.fromarray(GRAY.astype(np.uint16) * 256 + 7).save(tmp_path / f"photo{suffix}")
    assert (photo_array(tmp_path / f"photo{suffix}") == np.stack([GRAY] * 3, axis=2)).all()


def test_a_palette_an_alpha_channel_and_cmyk(tmp_path):
    Image.fromarray(RGB).quantize(12).save(tmp_path / "palette.png")
    assert np.abs(photo_array(tmp_path / "palette.png").astype(int) - RGB).max() < 12
    Image.fromarray(np.dstack([RGB, GRAY])).save(tmp_path / "alpha.png")
    assert (photo_array(tmp_path / "alpha.png") == RGB).all()
    flat = np.full((32, 32, 3), (200, 30, 60), np.uint8)
    Image.fromarray(flat).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100)
    assert np.abs(photo_array(tmp_path / "cmyk.jpg").astype(int) - flat).max() < 4


def test_exif_turns_a_photo(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(RGB).save(tmp_path / "turned.png", exif=exif)
    assert (photo_array(tmp_path / "turned.png") == np.rot90(RGB, -1)).all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 4, 5), np.uint8), r"has shape \(3, 4, 5\); transpose channels to the end"),
        (np.zeros((4, 4, 2), np.uint8), r"has shape \(4, 4, 2\)"),
        (np.zeros((0, 4, 3), np.uint8), r"has shape \(0, 4, 3\)"),
        (np.zeros((4, 4, 3), np.float32), r"is float32; convert it"),
        (np.zeros((4, 4, 3), np.int64), r"is int64; convert it"),
        (np.zeros((4, 4, 3), bool), r"is bool; convert it"),
    ],
)
def test_arrays_that_are_no_photo(array, message):
    with pytest.raises(DataError, match=message):
        photo_array(array)


def test_files_that_are_no_photo(tmp_path):
    Image.fromarray(GRAY.astype(np.float32)).save(tmp_path / "float.tif")
    (tmp_path / "text.png").write_text("no photo")
    for name, message in (("float.tif", "mode is F"), ("text.png", "does not decode"), ("gone.png", "cannot be read")):
        with pytest.raises(DataError, match=rf"{name}.*{message}"):
            photo_array(tmp_path / name)


def test_an_image_of_pillow_that_was_cut_short_is_a_data_error(tmp_path):
    Image.fromarray(RGB).resize((200, 100)).save(tmp_path / "photo.png")
    (tmp_path / "photo.png").write_bytes((tmp_path / "photo.png").read_bytes()[:-60])
    with pytest.raises(DataError, match="the image does not decode"), Image.open(tmp_path / "photo.png") as image:
        photo_array(image)
