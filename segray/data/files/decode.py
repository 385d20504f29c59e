"""Decodes photo and label files into arrays; anything wrong with a file is a DataError that names the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, TiffImageFile

from segray.config import SizePx
from segray.data.files.pair import Images, Pair
from segray.data.files.palettes import WRITE_IDS
from segray.errors import DataError
from segray.foreign import PICTURE_DAMAGE

# EXIF orientation -> the turn that sets the photo upright, as in Pillow's ImageOps.exif_transpose.
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PHOTO_MODES: Final = frozenset({"RGB", "RGBA", "L", "LA", "P", "1", "CMYK"})
_COLOR_MODES: Final = frozenset({"RGB", "RGBA", "P"})
# File formats and TIFF compressions that give back every value as it was written.
_LOSSLESS: Final = frozenset({"PNG", "BMP", "TIFF", "WEBP"})
_LOSSLESS_TIFF: Final = frozenset(
    {"raw", "tiff_lzw", "packbits", "tiff_adobe_deflate", "tiff_deflate", "lzma", "zstd", "group3", "group4"}
)


class StoredLabel(NamedTuple):
    """The values of a label file as they are stored, turned upright."""

    values: NDArray[np.uint8]
    """(height, width) in modes L and P, where P holds the palette's indices; else (height, width, channels)"""
    mode: str
    """Mode of the image in Pillow"""
    palette_N3: NDArray[np.uint8]
    """RGB by index; empty where the file has no palette"""


def turned_alone(pair: Pair) -> bool:
    """Return whether EXIF turns the photo, but not its label in the same way; reads only the headers.

    Raises:
        DataError: A header cannot be read.
    """
    if pair.photo == pair.label:
        return False
    _, orientation = _header(pair.photo)
    return orientation in _TURNS and _header(pair.label)[1] != orientation


def pair_size(pair: Pair) -> SizePx:
    """Return (height, width) of photo and label, from their headers.

    Raises:
        DataError: A header cannot be read, or the two sizes differ.
    """
    (photo, orientation), (label, _) = _header(pair.photo), _header(pair.label)
    if photo != label:
        turned = f", turned by its EXIF orientation {orientation}" if orientation in _TURNS else ""
        raise DataError(
            f"{pair.label}: a label must have its image's size, but is {label[1]}x{label[0]} "
            f"and the image is {photo[1]}x{photo[0]}{turned}"
        )
    return photo


def picture_size(path: Path) -> SizePx:
    """Return (height, width) of a picture from its header, as it is seen when turned by its EXIF orientation.

    Raises:
        DataError: The header cannot be read.
    """
    return _header(path)[0]


def turned_notes(names: Sequence[str]) -> list[str]:
    """Return a note about photos that EXIF turns without their labels, or no note if there are no such photos."""
    if not names:
        return []
    one = len(names) == 1
    are, their, labels = ("photo is", "its", "its label is") if one else ("photos are", "their", "their labels are")
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    what = f"{len(names)} {are} turned by {their} EXIF orientation, {labels} not"
    return [f"{what}: {shown}; look at them with segray data show"]


def read_photo(path: Path) -> NDArray[np.uint8]:
    """Return a photo of shape (height, width, 3), uint8 RGB, writable, turned upright by its EXIF orientation.

    Raises:
        DataError: The file cannot be read, does not decode to the end, or has more than 8 bits a channel.
    """
    try:
        with Image.open(path) as image:
            check_one_picture(path, image)
            # Fewer than 8 bits do no harm: Pillow stretches the values to 0-255, which is their meaning in PNG.
            if (bits := _bits(image)) > 8:
                raise DataError(f"{path}: a photo must have 8 bits a channel, but has {bits}")
            if image.mode in _PHOTO_MODES:
                return np.array(turn_upright(image).convert("RGB"))
            mode = image.mode
    except PICTURE_DAMAGE as error:
        raise damage_error(path, error) from None
    raise DataError(f"{path}: a photo must have 8 bits a channel, but its mode is {mode}")


def read_label(path: Path) -> StoredLabel:
    """Return the values of a label file.

    Raises:
        DataError: The file cannot be read, does not decode to the end, is compressed with loss, or does not have 8 bits
            a channel.
    """
    try:
        with Image.open(path) as image:
            check_one_picture(path, image)
            _check_lossless(path, image)
            bits = _bits(image)
            turned = turn_upright(image if image.mode != "1" else image.convert("L"))
            values, mode = np.asarray(turned), turned.mode
            palette = image.getpalette("RGB") if mode == "P" else None
    except PICTURE_DAMAGE as error:
        raise damage_error(path, error) from None
    # Pillow stretches values of fewer than 8 bits, which changes all of them but 0.
    if bits > 8 or (bits < 8 and values.any()):
        raise _wrong_bits(path, bits)
    if image.format == "WEBP" and (values[..., :1] == values).all():  # WebP has no mode with one channel
        values, mode = np.ascontiguousarray(values[..., 0]), "L"
    return StoredLabel(values, mode, np.array(palette or (), np.uint8).reshape(-1, 3))


def read_colors(path: Path) -> NDArray[np.uint8]:
    """Return the colours of a label file, turned upright; of a palette PNG, the palette's colours.

    Returns:
        Shape (height, width, 3), uint8 RGB.

    Raises:
        DataError: The file cannot be read, does not decode to the end, is compressed with loss, or is not in opaque
            colours of 8 bits a channel.
    """
    try:
        with Image.open(path) as image:
            check_one_picture(path, image)
            _check_lossless(path, image)
            if (bits := _bits(image)) != 8:
                raise _wrong_bits(path, bits)
            mode = image.mode
            if mode in _COLOR_MODES:
                turned = turn_upright(image)
                stored = np.asarray(turned if mode == "RGB" else turned.convert("RGBA"))
    except PICTURE_DAMAGE as error:
        raise damage_error(path, error) from None
    if mode not in _COLOR_MODES:
        raise DataError(
            f"{path}: a label must be in the classes' colours (RGB, RGBA or palette), but its mode is {mode}"
        )
    if not (stored[..., 3:] == 255).all():
        raise DataError(f"{path}: a label in colours must be opaque, but some of its pixels are transparent")
    return np.ascontiguousarray(stored[..., :3])


def resize_pair(photo: NDArray[np.uint8], label: NDArray[np.uint8], size: SizePx) -> Images:
    """Resize both to (height, width): the photo by area if it shrinks, else linear; the label by nearest pixel."""
    return resize_photo(photo, size), resize_label(label, size)


def resize_photo(photo: NDArray[np.uint8], size: SizePx) -> NDArray[np.uint8]:
    """Resize a photo to (height, width), by area if it shrinks, else linear."""
    if photo.shape[:2] == size:
        return photo
    height, width = size
    shrinks = height <= photo.shape[0] and width <= photo.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(photo, (width, height), interpolation=how)
    return resized.astype(np.uint8, copy=False)


def resize_label(label: NDArray[np.uint8], size: SizePx) -> NDArray[np.uint8]:
    """Resize ids to (height, width), by nearest pixel centre."""
    if label.shape == size:
        return label
    resized = cv2.resize(label, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)
    return resized.astype(np.uint8, copy=False)


def _header(path: Path) -> tuple[SizePx, int]:
    """Return (height, width) of the upright image, and its EXIF orientation."""
    try:
        with Image.open(path) as image:
            orientation = _orientation(image)
            size = (image.width, image.height) if orientation in (5, 6, 7, 8) else (image.height, image.width)
            return size, orientation
    except PICTURE_DAMAGE as error:
        raise damage_error(path, error) from None


def check_one_picture(path: Path, image: Image.Image) -> None:
    """Check that a file does not hold several pictures.

    Raises:
        DataError: It does.
    """
    # MPO, the JPEG of phones, stores previews and depth maps of the photo as further pictures.
    num_pictures = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if num_pictures > 1:
        raise DataError(
            f"{path}: a file must hold one picture, but this {image.format} holds {num_pictures}; save the right one "
            "as a file of its own"
        )


def _check_lossless(path: Path, image: Image.Image) -> None:
    kind = str(image.format)
    if kind == "TIFF" and (compression := image.info.get("compression")) not in _LOSSLESS_TIFF:
        kind = f"TIFF with {compression} compression"
    elif kind == "WEBP" and not _is_lossless_webp(path):
        kind = "WebP with loss"
    elif kind in _LOSSLESS:
        return
    raise DataError(
        f"{path}: a label must be stored without loss, as in PNG, but its content is {kind}, whatever its name says, "
        "which changes values; export it from its source again, as PNG"
    )


def _is_lossless_webp(path: Path) -> bool:
    """Return whether the pixels are in a chunk ``VP8L``; see RFC 9649."""
    content, position = path.read_bytes(), 12
    while position < len(content):
        name, size = content[position : position + 4], int.from_bytes(content[position + 4 : position + 8], "little")
        if name in (b"VP8L", b"VP8 "):
            return name == b"VP8L"
        position += 8 + size + size % 2
    return False


def _wrong_bits(path: Path, bits: int) -> DataError:
    changed = "drops the lower ones" if bits > 8 else "stretches the ids to 0-255"
    return DataError(
        f"{path}: a label must have 8 bits a channel, but has {bits}, and reading it as 8 {changed}; {WRITE_IDS}"
    )


def _bits(image: Image.Image) -> int:
    """Return the bits a channel, which Pillow's mode does not tell; 8 for indices of a palette."""
    if image.mode in ("1", "P"):
        return 1 if image.mode == "1" else 8
    if isinstance(image, TiffImageFile):
        return int(max(image.tag_v2.get(BITSPERSAMPLE, (1,))))
    if not isinstance(image, PngImageFile) or image.fp is None:
        return 8
    position = image.fp.tell()
    image.fp.seek(24)  # in IHDR, which is the first chunk
    bits = image.fp.read(1)[0]
    image.fp.seek(position)
    return bits


def turn_upright(image: Image.Image) -> Image.Image:
    """Return the image as its EXIF orientation says that it should be seen."""
    turn = _TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int:
    # The base class's method is called, because PNG's own decodes all pixels to find EXIF data behind them.
    orientation: int = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    return orientation


def damage_error(path: Path, error: Exception) -> DataError:
    """Return the error for a picture that Pillow could not open or decode."""
    if isinstance(error, OSError) and error.strerror:
        return DataError(f"{path}: cannot be read: {error.strerror}")
    if path.stat().st_size == 0:
        return DataError(f"{path}: the file is empty")
    return DataError(f"{path}: does not decode: {str(error).removesuffix(repr(str(path))).rstrip()}")
