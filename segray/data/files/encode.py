"""Images into new folders, for what draws or samples data sets."""

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
"""Extension of a picture for a person -> Pillow's name of the format."""


def check_picture(path: Path, *, inputs: Iterable[Path] = (), data_root: str = "") -> Path:
    """The picture that a command is to write, as ``output_path`` resolves and checks it.

    Raises:
        StorageError: It cannot be written there, or has another extension than PICTURES.
    """
    target = output_path(path, inputs=inputs, data_root=data_root)
    if target.suffix.lower() not in PICTURES:
        raise StorageError(f"cannot write {str(path)!r}: name a .png or .jpg file")
    return target


def write_picture(path: Path, image: NDArray[np.uint8]) -> None:
    """Write RGB (height, width, 3) for a person to look at, whole or not at all.

    Raises:
        StorageError: It cannot be written.
    """
    stream = io.BytesIO()
    try:
        Image.fromarray(image).save(stream, PICTURES[path.suffix.lower()])
        write_whole(path, stream.getvalue())
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot write {str(path)!r}: {error}") from None


@contextmanager
def new_folder(path: str | Path, what: str) -> Iterator[Path]:
    """A path to fill that becomes the folder by one rename at the end; nothing is left of one that was not finished.

    Args:
        path: Folder to make; its parents are made too.
        what: Goes there, as messages name it, such as "a sample".

    Raises:
        DataError: It exists already.
        StorageError: It cannot be made, a file in it cannot be written, or it lies among a sweep's files.
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
    """Write ids (height, width) or RGB (height, width, 3) as PNG or JPEG, by the extension; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    # OpenCV's own imwrite takes no notice of a disk that fills up at the end of a file.
    path.write_bytes(cv2.imencode(path.suffix, stored)[1].tobytes())
