import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from segray.data.files.decode import pair_size, read_colors, read_label, read_photo
from segray.data.files.pair import Pair
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
        (sixteen_bits, "must have 8 bits a channel, but has 16"),
        (too_many_pixels, "does not decode: .*decompression bomb"),
    ],
)
def test_a_photo_that_cannot_be_used_is_one_error_that_names_it(tmp_path, monkeypatch, write, message):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)
    path = tmp_path / "photo.png"
    write(path)
    with pytest.raises(DataError, match=rf"photo\.png: .*{message}"):
        read_photo(path)


def save_png(path, values, bits, color_type=0):
    """A PNG (height, width) or (height, width, 3) of any depth, which Pillow writes only some of."""
    rows = values.astype(">u2").view(np.uint8) if bits == 16 else packed(values, bits)
    raw = b"".join(b"\0" + row.tobytes() for row in rows.reshape(len(values), -1))
    header = struct.pack(">IIBBBBB", values.shape[1], len(values), bits, color_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"PLTE", bytes(3 << bits))] if color_type == 3 else [(b"IHDR", header)]
    chunks += [(b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(struct.pack(">I", len(d)) + name + d + struct.pack(">I", zlib.crc32(name + d)) for name, d in chunks)
    )
    return path


def packed(values, bits):
    digits = np.unpackbits(values.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :]
    return np.packbits(digits.reshape(len(values), -1), axis=1)


IDS = np.array([[0, 1, 1, 0, 1, 0, 0, 1]] * 2)


@pytest.mark.parametrize("bits", [1, 2, 4, 16])
def test_a_grey_label_of_other_than_8_bits_is_refused(tmp_path, bits):
    path = save_png(tmp_path / "label.png", IDS, bits)
    with pytest.raises(DataError, match=rf"label\.png: a label must have 8 bits a channel, but has {bits}, "):
        read_label(path)


@pytest.mark.parametrize("read", [read_label, read_colors])
def test_a_label_of_16_bits_a_channel_is_refused(tmp_path, read):
    path = save_png(tmp_path / "label.png", np.full((2, 8, 3), 7), 16, color_type=2)
    with pytest.raises(DataError, match=r"label\.png: a label must have 8 bits a channel, but has 16, .*drops"):
        read(path)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_indices_of_a_palette_stay_as_they_are_at_any_depth(tmp_path, bits):
    label = read_label(save_png(tmp_path / "label.png", IDS, bits, color_type=3))
    assert label.mode == "P"
    np.testing.assert_array_equal(label.values, IDS)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_grey_label_of_few_bits_is_read_where_all_its_values_are_0(tmp_path, bits):
    label = read_label(save_png(tmp_path / "label.png", 0 * IDS, bits))
    assert label.mode == "L"
    np.testing.assert_array_equal(label.values, 0 * IDS)


KEPT = {"png": {}, "bmp": {}, "tiff": {"compression": "tiff_lzw"}, "webp": {"lossless": True}}
LOST = {
    "jpeg": {},
    "mpo": {"append_images": [noise()], "save_all": True},
    "webp": {"quality": 100},
    "avif": {},
    "jpeg2000": {},
    "tiff": {"compression": "jpeg"},
}


@pytest.mark.parametrize(("kind", "options"), KEPT.items())
@pytest.mark.parametrize("read", [lambda path: read_label(path).values, read_colors])
def test_a_label_in_a_format_without_loss_is_read_whatever_its_name(tmp_path, kind, options, read):
    path = tmp_path / "label.png"
    noise().save(path, kind, **options)
    np.testing.assert_array_equal(read(path), np.asarray(noise()))


def test_a_grey_webp_is_one_channel(tmp_path):
    """WebP has no mode for it."""
    Image.fromarray(IDS.astype(np.uint8)).save(tmp_path / "label.webp", lossless=True)
    label = read_label(tmp_path / "label.webp")
    assert label.mode == "L"
    np.testing.assert_array_equal(label.values, IDS)


@pytest.mark.parametrize(("kind", "options"), LOST.items())
@pytest.mark.parametrize("read", [read_label, read_colors])
@pytest.mark.parametrize("name", ["label.png", "label.webp"])
def test_a_label_in_a_format_with_loss_is_refused_whatever_its_name(tmp_path, kind, options, read, name):
    noise().save(tmp_path / name, kind, **options)
    with pytest.raises(DataError, match=rf"{name}: a label must be stored without loss, .*(?i:{kind[:4]})"):
        read(tmp_path / name)


def test_a_webp_that_is_lossless_but_for_its_pixels_is_refused(tmp_path):
    """Its alpha channel is stored without loss, its colours are not."""
    noise().convert("RGBA").save(tmp_path / "label.png", "webp", quality=100, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0")
    with pytest.raises(DataError, match="is WebP with loss"):
        read_colors(tmp_path / "label.png")


def test_a_tiff_label_of_4_bits_is_refused(tmp_path):
    """Pillow stretches its values; written by hand, as Pillow does not write such files."""
    tags = [(256, 3, 1, 8), (257, 3, 1, 2), (258, 3, 1, 4), (259, 3, 1, 1), (262, 3, 1, 1)]
    tags += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 3, 1, 2), (279, 4, 1, 8)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    content = b"II*\0" + struct.pack("<I", 16) + b"\x11" * 8 + struct.pack("<H", len(tags)) + entries + bytes(4)
    (tmp_path / "label.tif").write_bytes(content)
    with pytest.raises(DataError, match="must have 8 bits a channel, but has 4"):
        read_label(tmp_path / "label.tif")


def test_a_photo_of_16_bits_a_channel_is_refused(tmp_path):
    path = save_png(tmp_path / "photo.png", np.full((2, 8, 3), 40000), 16, color_type=2)
    with pytest.raises(DataError, match=r"photo\.png: a photo must have 8 bits a channel, but has 16$"):
        read_photo(path)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_grey_photo_of_few_bits_spans_black_to_white(tmp_path, bits):
    photo = read_photo(save_png(tmp_path / "photo.png", IDS * (2**bits - 1), bits))
    np.testing.assert_array_equal(photo, np.repeat(IDS[..., None] * 255, 3, axis=-1))
