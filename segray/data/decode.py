"""Photo and label files -> arrays; whatever is wrong with a file is a DataError that names it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngImageFile

from segray.config import SizePx
from segray.data.dataset import Images, Pair
from segray.errors import DataError

# What Pillow raises on damaged files. OpenCV is no choice here: it returns a full array for a truncated JPEG.
_DAMAGE: Final = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
# How a camera that was held at an angle is put right, by EXIF orientation: what ImageOps.exif_transpose does.
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


def pair_size(pair: Pair) -> SizePx:
    """(height, width) of photo and label, from their headers.

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


def read_photo(path: Path) -> NDArray[np.uint8]:
    """Photo of shape (height, width, 3), uint8 RGB, writable, turned upright by its EXIF orientation.

    Raises:
        DataError: It cannot be read, does not decode to the end, or has more than 8 bits a channel.
    """
    try:
        with Image.open(path) as image:
            _check_one_picture(path, image)
            # Fewer bits are no harm: Pillow stretches them to 0-255, as PNG means them.
            if (bits := _png_bits(image)) > 8:
                raise DataError(f"{path}: a photo must have 8 bits a channel, but has {bits}")
            if image.mode in _PHOTO_MODES:
                return np.array(_upright(image).convert("RGB"))
            mode = image.mode
    except _DAMAGE as error:
        raise _damaged(path, error) from None
    raise DataError(f"{path}: a photo must have 8 bits a channel, but its mode is {mode}")


def read_label(path: Path) -> tuple[NDArray[np.uint8], str]:
    """A label file as it is stored, turned upright, and its Pillow mode.

    Returns:
        Shape (height, width) of ids for modes L and P (the palette's indices), else (height, width, channels).

    Raises:
        DataError: It cannot be read, does not decode to the end, or is a PNG that has not 8 bits a channel.
    """
    try:
        with Image.open(path) as image:
            _check_one_picture(path, image)
            _check_label_bits(path, image)
            return np.asarray(_upright(image)), image.mode
    except _DAMAGE as error:
        raise _damaged(path, error) from None


def read_colors(path: Path) -> NDArray[np.uint8]:
    """A label file's colours, turned upright; a palette PNG counts by its palette's.

    Returns:
        Shape (height, width, 3), uint8 RGB.

    Raises:
        DataError: It cannot be read, does not decode to the end, or is not in opaque colours of 8 bits a channel.
    """
    try:
        with Image.open(path) as image:
            _check_one_picture(path, image)
            _check_label_bits(path, image)
            mode = image.mode
            if mode in _COLOR_MODES:
                upright = _upright(image)
                stored = np.asarray(upright if mode == "RGB" else upright.convert("RGBA"))
    except _DAMAGE as error:
        raise _damaged(path, error) from None
    if mode not in _COLOR_MODES:
        raise DataError(
            f"{path}: a label must be in the classes' colours (RGB, RGBA or palette), but its mode is {mode}"
        )
    if not (stored[..., 3:] == 255).all():
        raise DataError(f"{path}: a label in colours must be opaque, but some of its pixels are transparent")
    return np.ascontiguousarray(stored[..., :3])


def resize_pair(photo: NDArray[np.uint8], label: NDArray[np.uint8], size: SizePx) -> Images:
    """Both at (height, width): the photo by area where it shrinks, else linear; the label by nearest pixel centre."""
    if label.shape == size:
        return photo, label
    height, width = size
    shrinks = height <= label.shape[0] and width <= label.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized_photo = cv2.resize(photo, (width, height), interpolation=how)
    return resized_photo.astype(np.uint8, copy=False), resize_label(label, size)


def resize_label(label: NDArray[np.uint8], size: SizePx) -> NDArray[np.uint8]:
    """Ids at (height, width), by nearest pixel centre."""
    resized = cv2.resize(label, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)
    return resized.astype(np.uint8, copy=False)


def _header(path: Path) -> tuple[SizePx, int]:
    """(height, width) once turned upright, and the EXIF orientation."""
    try:
        with Image.open(path) as image:
            orientation = _orientation(image)
            size = (image.width, image.height) if orientation in (5, 6, 7, 8) else (image.height, image.width)
            return size, orientation
    except _DAMAGE as error:
        raise _damaged(path, error) from None


def _check_one_picture(path: Path, image: Image.Image) -> None:
    # In MPO, the JPEG of phones, what stands behind the photo are previews and depth maps of the same.
    num_pictures = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if num_pictures > 1:
        raise DataError(
            f"{path}: a file must hold one picture, but this {image.format} holds {num_pictures}; save the one that is "
            "meant alone"
        )


def _check_label_bits(path: Path, image: Image.Image) -> None:
    if (bits := _png_bits(image)) != 8:
        changed = "drops the lower ones" if bits > 8 else "stretches the ids to 0-255"
        raise DataError(
            f"{path}: a label must have 8 bits a channel, but has {bits}, and reading it as 8 {changed}; "
            "write it as an 8-bit PNG"
        )


def _png_bits(image: Image.Image) -> int:
    """A PNG's bits a channel, which its mode does not tell; 8 for other formats, and for indices of a palette."""
    if not isinstance(image, PngImageFile) or image.fp is None or image.mode == "P":
        return 8
    position = image.fp.tell()
    image.fp.seek(24)  # in IHDR, which is the first chunk
    bits = image.fp.read(1)[0]
    image.fp.seek(position)
    return bits


def _upright(image: Image.Image) -> Image.Image:
    turn = _TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int:
    # The base class's method, because PNG's own decodes all pixels to find EXIF data that may stand behind them.
    orientation: int = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    return orientation


def _damaged(path: Path, error: Exception) -> DataError:
    if isinstance(error, OSError) and error.strerror:
        return DataError(f"{path}: cannot be read: {error.strerror}")
    if path.stat().st_size == 0:
        return DataError(f"{path}: the file is empty")
    return DataError(f"{path}: does not decode: {str(error).removesuffix(repr(str(path))).rstrip()}")
