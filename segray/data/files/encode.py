"""Encodes images as files, and makes new folders for the tools that draw or sample data sets."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segray.errors import DataError, StorageError
from segray.files import check_new_folder, expanded, output_path, write_whole

PICTURES: Final = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
"""File extension of a picture that a command writes -> Pillow's name of the format."""


def check_picture(path: Path, *, inputs: Iterable[Path] = (), data_root: str = "") -> Path:
    """Return the path of a picture that a command will write, resolved and checked as by ``output_path``.

    Raises:
        StorageError: The picture cannot be written there, or its extension is not in PICTURES.
    """
    target = output_path(path, inputs=inputs, data_root=data_root)
    if target.suffix.lower() not in PICTURES:
        raise StorageError(f"cannot write {str(path)!r}: name a .png or .jpg file")
    return target


def write_picture(path: Path, image: NDArray[np.uint8]) -> None:
    """Write a picture, RGB (height, width, 3), as a whole or not at all.

    Raises:
        StorageError: The file cannot be written.
    """
    stream = io.BytesIO()
    try:
        Image.fromarray(image).save(stream, PICTURES[path.suffix.lower()])
        write_whole(path, stream.getvalue())
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot write {str(path)!r}: {error}") from None


@contextmanager
def new_folder(path: str | Path, what: str) -> Iterator[Path]:
    """Yield a path to fill, and rename it to the new folder at the end; an error leaves nothing behind.

    Args:
        path: Folder to make; missing parents are made, too.
        what: What the folder will hold, in the words of an error message, such as "a sample".

    Raises:
        DataError: The folder exists already.
        StorageError: The folder cannot be made, a file in it cannot be written, or it lies among a sweep's files.
    """
    target = expanded(path).absolute()
    check_new_folder(target)
    try:
        if target.exists():
            raise DataError(f"{what} needs a new folder, but {str(target)!r} exists; remove it or name another")
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as temporary:
            unfinished = Path(temporary) / target.name
            yield unfinished
            unfinished.rename(target)
    except OSError as error:
        reason = f"{error.filename} is no folder" if isinstance(error, FileExistsError) else error.strerror or error
        raise StorageError(
            f"{what} cannot be written to {str(target)!r}: {reason}; "
            "name a folder on a disk that has room and that you may write to"
        ) from None


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Write ids (height, width) or RGB (height, width, 3) as PNG or JPEG, by the extension; make missing folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    # OpenCV's imwrite does not report a disk that fills up at the end of a file.
    path.write_bytes(cv2.imencode(path.suffix, stored)[1].tobytes())
