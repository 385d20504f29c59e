"""Files of predictions: overlays, colours, ids and probabilities, in a folder of each kind or as one picture."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from segray.data.files.encode import write_picture
from segray.folder import Folder
from segray.inference.legend import draw_legend
from segray.inference.prediction import Prediction
from segray.labels import LabelSpace

LEGEND_WIDTH_PX: Final = 640


@dataclass(frozen=True, kw_only=True)
class OutputKind:
    """A kind of file that a prediction can be written as."""

    suffix: str
    encode: Callable[[Prediction], bytes]
    picture: Callable[[Prediction], NDArray[np.uint8]] | None = None
    """Returns RGB (height, width, 3), if the kind is a picture for people"""


def png(image: NDArray[np.uint8]) -> bytes:
    """Return ids (height, width) or RGB (height, width, 3) as a PNG of 8 bits a channel."""
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    return cv2.imencode(".png", stored)[1].tobytes()


def npz(prediction: Prediction) -> bytes:
    """Return ``probabilities``, (classes, height, width), float16, and ``names``, (classes,), as a compressed .npz."""
    assert prediction.probabilities is not None
    arrays = {
        "probabilities": prediction.probabilities.astype(np.float16),
        "names": np.array(prediction.label_space.names),
    }
    stream = io.BytesIO()
    # NumPy's own savez_compressed has no choice of level; level 1 is 4 times as fast, for files a tenth larger.
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return stream.getvalue()


KINDS: Final[dict[str, OutputKind]] = {
    "overlay": OutputKind(suffix=".png", encode=lambda found: png(found.overlay()), picture=Prediction.overlay),
    "color": OutputKind(suffix=".png", encode=lambda found: png(found.colors()), picture=Prediction.colors),
    "label_ids": OutputKind(suffix=".png", encode=lambda found: png(found.label_ids())),
    "train_ids": OutputKind(suffix=".png", encode=lambda found: png(found.labels)),
    "probabilities": OutputKind(suffix=".npz", encode=npz),
}
"""Name in ``--save``, and of the folder -> kind of file."""


@dataclass(frozen=True, kw_only=True)
class PredictionFolder:
    """A folder with a sub-folder for each kind of file: ``overlay/NAME.png``, ``probabilities/NAME.npz``."""

    folder: Folder
    kinds: Sequence[str]

    def write(self, name: str, prediction: Prediction) -> None:
        """Write a prediction as every kind, each file as a whole or not at all.

        Raises:
            StorageError: A file cannot be written.
        """
        for kind in self.kinds:
            self.folder.write_bytes(f"{kind}/{name}{KINDS[kind].suffix}", KINDS[kind].encode(prediction))

    def done(self) -> set[str]:
        """Return the names whose files of every kind are there."""
        found = [set(self._names(kind)) for kind in self.kinds]
        return set.intersection(*found) if found else set()

    def delete(self, is_unwanted: Callable[[str], bool]) -> None:
        """Delete the results, of every kind, whose names are unwanted.

        Raises:
            StorageError: A file cannot be deleted.
        """
        for kind, known in KINDS.items():
            for name in filter(is_unwanted, self._names(kind)):
                self.folder.delete(f"{kind}/{name}{known.suffix}")

    def _names(self, kind: str) -> list[str]:
        suffix = KINDS[kind].suffix
        return [path.removesuffix(suffix) for path in self.folder.files_below(kind) if path.endswith(suffix)]

    def write_legend(self, label_space: LabelSpace) -> None:
        """Write the classes' names and colours as ``legend.png``, if a picture for people is among the kinds.

        Raises:
            StorageError: The file cannot be written.
        """
        if any(KINDS[kind].picture for kind in self.kinds):
            self.folder.write_bytes("legend.png", png(draw_legend(label_space, width_px=LEGEND_WIDTH_PX)))

    @property
    def place(self) -> str:
        """Where the files are, for a person."""
        return self.folder.path


@dataclass(frozen=True, kw_only=True)
class PictureFile:
    """One picture of one photo."""

    path: Path
    kind: str

    def write(self, name: str, prediction: Prediction) -> None:  # noqa: ARG002 - the name of a folder's file
        """Write the picture.

        Raises:
            StorageError: The file cannot be written.
        """
        picture = KINDS[self.kind].picture
        assert picture is not None
        write_picture(self.path, picture(prediction))

    def done(self) -> set[str]:
        """Return no names: the picture is always written anew."""
        return set()

    def write_legend(self, label_space: LabelSpace) -> None:
        """Do nothing: the picture stands alone."""

    @property
    def place(self) -> str:
        """Where the file is, for a person."""
        return str(self.path)


Outputs = PredictionFolder | PictureFile
