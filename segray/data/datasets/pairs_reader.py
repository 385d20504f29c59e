"""Reads a photo and its colour mask side by side in one file, and gives masks the classes of their colours."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from segray.config import SizePx
from segray.data.datasets.cityscapes import LABELS, label_space
from segray.data.datasets.nearest_color import nearest_color
from segray.data.files.decode import pair_size, read_photo
from segray.data.files.pair import Images, Pair
from segray.data.files.palettes import NO_COLORS, UsedColors
from segray.errors import DataError
from segray.labels import IGNORE_INDEX, Color, LabelSpace

CLOSE: Final = 20.0
"""RGB distance within which most pixels of a mask, but few of a photo, have a Cityscapes colour."""


class MaskDecoder(Protocol):
    """Decodes a mask of colours into training ids."""

    @property
    def key(self) -> str:
        """Everything that the ids depend on besides the mask."""

    def __call__(self, mask: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
        """Return training ids (height, width), 255 for void, of a mask (height, width, 3).

        Raises:
            DataError: The pixels are no such mask; the message names the path.
        """


@dataclass(frozen=True)
class PairsReader:
    """Reads files with the photo in the left half and the mask in the right half."""

    decode: MaskDecoder

    @property
    def key(self) -> str:
        """Key of the decoder."""
        return self.decode.key

    def size(self, pair: Pair) -> SizePx:
        """Return (height, width) of one half, from the header; an odd width is an error."""
        height, width = pair_size(pair)
        if width % 2:
            raise DataError(
                f"{pair.photo}: a file must hold photo and mask side by side, so its width must be even, but it is "
                f"{width}x{height}"
            )
        return height, width // 2

    def read_photo(self, path: Path) -> NDArray[np.uint8]:
        """Return the left half of a file."""
        return _halves(path)[0]

    def read(self, pair: Pair) -> Images:
        """Return both halves, and open the file once."""
        photo, mask = _halves(pair.photo)
        return photo, self.decode(mask, pair.label)

    def inspect(self, pair: Pair) -> tuple[Images, UsedColors]:
        """Return both halves as `read` does, and no colours, because masks have no palette."""
        return self.read(pair), NO_COLORS

    def read_label(self, pair: Pair) -> NDArray[np.uint8]:
        """Return training ids alone."""
        return self.decode(read_mask(pair.label), pair.label)


@dataclass(frozen=True)
class PaletteLabels:
    """Gives each pixel the class of the nearest official colour, or void if that colour is void or too far away."""

    max_distance: float
    """RGB distance beyond which a pixel is void"""

    @property
    def key(self) -> str:
        """The table of colours and the distance."""
        return json.dumps({"palette": sorted(PALETTE.items()), "max_distance": self.max_distance})

    def __call__(self, mask: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
        """Return training ids of the 19 classes."""
        index, squared_distance = nearest_color(mask, tuple(PALETTE))
        if (squared_distance <= CLOSE**2).mean() < 0.5:
            raise DataError(
                f"{path}: its right half must be a mask of Cityscapes' colours, but most pixels are farther than "
                f"{CLOSE:g} from each of them; is the mask on the left?"
            )
        ids = np.array(list(PALETTE.values()), np.uint8)[index]
        ids[squared_distance > self.max_distance**2] = IGNORE_INDEX
        if (ids == IGNORE_INDEX).all():
            raise DataError(
                f"{path}: its right half must be a mask of Cityscapes' colours, but no pixel has the colour of a "
                "class; does it hold class ids?"
            )
        return ids


def palette_space() -> LabelSpace:
    """Return the 19 classes in training-id order."""
    return label_space().model_copy(update={"raw_to_train": {}})


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Return the right half of a file, (height, width, 3), RGB.

    Raises:
        DataError: The file cannot be read, or does not decode to its end.
    """
    return _halves(path)[1]


def _halves(path: Path) -> Images:
    both = read_photo(path)
    middle = both.shape[1] // 2
    return both[:, :middle], both[:, middle:]


def _palette() -> dict[Color, int]:
    palette: dict[Color, int] = {}
    for _, _, train_id, color in LABELS:
        # Poles and groups of poles share a colour; the pole wins, because groups are void in training.
        palette[color] = min(train_id, palette.get(color, IGNORE_INDEX))
    return palette


PALETTE: Final = _palette()
"""Official colour -> training id, or 255 for void."""
