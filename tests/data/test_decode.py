import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from segray.data.dataset import Pair
from segray.data.decode import pair_size, read_photo
from segray.errors import DataError


def noise(height=24, width=32):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def save_turned(path, orientation):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    noise().save(path, exif=exif)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_upright_and_its_size_with_it(tmp_path, suffix, orientation):
    pair = Pair("a", tmp_path / f"a{suffix}", tmp_path / "label.png")
    save_turned(pair.photo, orientation)
    with Image.open(pair.photo) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    photo = read_photo(pair.photo)
    np.testing.assert_array_equal(photo, expected)
    assert photo.flags.writeable
    Image.fromarray(expected[..., 0]).save(pair.label)
    assert pair_size(pair) == expected.shape[:2] == ((24, 32) if orientation < 5 else (32, 24))


def test_a_label_that_was_drawn_on_the_unturned_photo_is_refused(tmp_path):
    pair = Pair("a", tmp_path / "a.jpg", tmp_path / "label.png")
    save_turned(pair.photo, 6)
    Image.new("L", (32, 24)).save(pair.label)
    with pytest.raises(DataError, match=r"is 32x24 and the image is 24x32, turned by its EXIF orientation 6$"):
        pair_size(pair)


def missing(path):
    pass


def folder(path):
    path.mkdir()


def truncated(path):
    noise().save(path)
    path.write_bytes(path.read_bytes()[:-300])


def cut_in_its_first_chunk(path):
    noise().save(path)
    path.write_bytes(path.read_bytes()[:20])


def broken_header(path):
    path.write_bytes(b"P6 wide high 255\n")


def sixteen_bits(path):
    Image.fromarray(np.zeros((24, 32), np.uint16)).save(path)


def too_many_pixels(path):
    Image.new("RGB", (100, 101)).save(path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (missing, "cannot be read: No such file"),
        (folder, "cannot be read: Is a directory"),
        (truncated, "does not decode: .*truncated"),
        (cut_in_its_first_chunk, "does not decode"),
        (broken_header, "does not decode"),
        (sixteen_bits, "must have 8 bits a channel"),
        (too_many_pixels, "does not decode: .*decompression bomb"),
    ],
)
def test_a_photo_that_cannot_be_used_is_one_error_that_names_it(tmp_path, monkeypatch, write, message):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)
    path = tmp_path / "photo.png"
    write(path)
    with pytest.raises(DataError, match=rf"photo\.png: .*{message}"):
        read_photo(path)
