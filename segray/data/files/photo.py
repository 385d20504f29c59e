"""Photos for a model: files, Pillow images and arrays of any common kind, as 8-bit RGB."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segray.data.files.decode import check_one_picture, damage_error, turn_upright
from segray.errors import DataError
from segray.foreign import PICTURE_DAMAGE, in_short

Photo = str | PathLike[str] | Image.Image | NDArray[np.generic]
"""An image file, a Pillow image, or an array: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); uint8 or uint16; RGB order"""

_SIXTEEN_BITS: Final = ("I;16", "I;16B", "I;16L", "I;16N")


def photo_array(photo: Photo) -> NDArray[np.uint8]:
    """Return a photo as RGB of 8 bits a channel, shape (height, width, 3).

    Grey becomes three equal channels, 16 bits lose their lower 8, transparency is dropped, CMYK and palettes are
    converted, and files and Pillow images are turned upright by their EXIF orientation.

    Raises:
        DataError: The file cannot be read or decoded, or the array is no photo.
    """
    if isinstance(photo, np.ndarray):
        return _of_array(photo)
    if isinstance(photo, Image.Image):
        try:
            return _of_image(photo, "the image")
        except PICTURE_DAMAGE as error:
            raise DataError(f"the image does not decode: {in_short(error)}") from None
    path = Path(photo)
    try:
        with Image.open(path) as image:
            check_one_picture(path, image)
            return _of_image(image, str(path))
    except PICTURE_DAMAGE as error:
        raise damage_error(path, error) from None


def _of_image(image: Image.Image, name: str) -> NDArray[np.uint8]:
    if image.mode == "F":
        raise DataError(f"{name}: a photo must hold whole numbers, but its mode is F; save it with 8 or 16 bits")
    image = turn_upright(image)
    if image.mode in _SIXTEEN_BITS or image.mode == "I":
        values = np.asarray(image)
        if values.min() < 0 or values.max() >= 2**16:
            raise DataError(f"{name}: a grey photo must have at most 16 bits, but has values up to {values.max()}")
        return _of_array(values.astype(np.uint16))
    return np.array(image.convert("RGB"))


def _of_array(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    shape_is_right = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if not shape_is_right or array.size == 0:
        hint = "; transpose channels to the end" if array.ndim == 3 and array.shape[0] in (1, 3, 4) else ""
        raise DataError(
            "a photo must have the shape (height, width), (height, width, 3) or (height, width, 4), but has shape "
            f"{array.shape}{hint}"
        )
    if array.dtype not in (np.uint8, np.uint16):
        raise DataError(
            f"a photo must be uint8 (0 to 255) or uint16, but is {array.dtype}; convert it, for example with "
            "(255 * photo).round().astype('uint8') for values from 0 to 1"
        )
    values = (array.view(np.uint16) >> 8 if array.dtype == np.uint16 else array).astype(np.uint8)
    channels = values[..., None] if values.ndim == 2 else values
    return np.ascontiguousarray(np.repeat(channels, 3, axis=2) if channels.shape[2] == 1 else channels[..., :3])
