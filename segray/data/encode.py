"""Images into new folders, for what draws or samples data sets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray

from segray.errors import DataError, StorageError


@contextmanager
def new_folder(path: str | Path, what: str) -> Iterator[Path]:
    """A path to fill that becomes the folder by one rename at the end; nothing is left of one that was not finished.

    Args:
        path: Folder to make; its parents are made too.
        what: Goes there, as messages name it, such as "a sample".

    Raises:
        DataError: It exists already.
        StorageError: It cannot be made, or a file in it cannot be written.
    """
    target = Path(path).expanduser().absolute()
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
