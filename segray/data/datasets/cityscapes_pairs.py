"""Cityscapes as photo and colour mask side by side in one JPEG: Kaggle's "cityscapes-image-pairs", pix2pix.

JPEG blurs the colours of a mask, so a pixel's class is that of the nearest colour.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from segray.config import DataConfig, SizePx
from segray.data.cache_location import cache_location
from segray.data.datasets.cityscapes import LABELS, label_space
from segray.data.datasets.dataset import Dataset, Split
from segray.data.datasets.kmeans import kept_clusters
from segray.data.datasets.lister import Lister
from segray.data.datasets.nearest_color import nearest_color
from segray.data.datasets.root import existing_split, marker, root_folder
from segray.data.datasets.scoring import Scoring
from segray.data.files.decode import pair_size, read_photo
from segray.data.files.pair import Images, Pair
from segray.data.files.palettes import NO_COLORS, UsedColors
from segray.errors import ConfigError, DataError
from segray.labels import IGNORE_INDEX, Color, LabelSpace

INNER_FOLDER: Final = "cityscapes_data"
"""The folder of Kaggle's archive that holds train and val."""

PUBLISHED_SIZES: Final = (0.64, 0.16, 0.20)
"""Shares into which the published K-Means system divides all images."""

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


@dataclass(frozen=True)
class ClusterLabels:
    """Gives each pixel the nearest of K cluster centres; no pixel is void."""

    centers: tuple[Color, ...]
    """In training-id order"""
    truth: PaletteLabels
    """Decoder of the labels that predictions are judged by; only the key uses it"""

    @property
    def key(self) -> str:
        """The centres, and the key of the truth."""
        return json.dumps({"centers": self.centers, "truth": self.truth.key})

    def __call__(self, mask: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:  # noqa: ARG002 - any colours will do
        """Return training ids of the K clusters."""
        return nearest_color(mask, self.centers)[0]


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


def cityscapes_pairs(config: DataConfig) -> Dataset:
    """train/*.jpg and val/*.jpg; `data.pairs` says how their masks become labels."""
    root = _root(config.root)
    lister = Lister()
    official: dict[Split, list[Pair]] = {"train": _pairs(lister, root, "train"), "val": _pairs(lister, root, "val")}
    palette = PaletteLabels(config.pairs.max_distance)
    if config.pairs.labels == "palette":
        return Dataset(
            label_space=palette_space(),
            reader=PairsReader(palette),
            official=official,
            split_sizes=PUBLISHED_SIZES,
            unused=lister.unused,
        )
    masks = {pair.name: pair.label for pair in official["train"]}
    places = (root / ".segray", cache_location(config))
    centers = kept_clusters(places, masks, read_mask, config.pairs.num_clusters, config.pairs.kmeans_seed)
    centers, space, class_of = name_clusters(centers)
    return Dataset(
        label_space=space,
        reader=PairsReader(ClusterLabels(centers, palette)),
        official=official,
        split_sizes=PUBLISHED_SIZES,
        unused=lister.unused,
        own_scoring=Scoring(label_space=palette_space(), class_of=class_of, read_label=PairsReader(palette).read_label),
    )


def palette_space() -> LabelSpace:
    """Return the 19 classes in training-id order."""
    return label_space().model_copy(update={"raw_to_train": {}})


def name_clusters(centers: Sequence[Color]) -> tuple[tuple[Color, ...], LabelSpace, tuple[int | None, ...]]:
    """Name each cluster by the class of the official colour that is nearest to the cluster's centre.

    Args:
        centers: Distinct colours.

    Returns:
        The centres in training-id order: by class, void last, and within a class the nearest to its colour first; the
        clusters as classes, named "road", "road 2" and so on; and for each cluster the palette class that it stands
        for.

    Raises:
        ConfigError: All clusters are void.
    """
    index, squared_distance = nearest_color(np.array(centers, np.uint8), tuple(PALETTE))
    class_ids = np.array(list(PALETTE.values()))[index].tolist()
    ordered = sorted(zip(class_ids, squared_distance.tolist(), centers, strict=True))
    if all(class_id == IGNORE_INDEX for class_id, _, _ in ordered):
        raise ConfigError(
            f"all {len(centers)} clusters that K-Means found are void, so nothing can be scored; raise "
            "data.pairs.num_clusters or choose another data.pairs.kmeans_seed"
        )
    names, seen = [], Counter[str]()
    for class_id, _, _ in ordered:
        name = "void" if class_id == IGNORE_INDEX else palette_space().names[class_id]
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    colors = tuple(color for _, _, color in ordered)
    class_of = tuple(None if class_id == IGNORE_INDEX else class_id for class_id, _, _ in ordered)
    return colors, LabelSpace(names=tuple(names), colors=colors), class_of


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


def _root(root: str) -> Path:
    folder = root_folder(root)
    inner = folder / INNER_FOLDER
    if not (folder / "train").exists() and inner.exists():
        folder = inner
    return root_folder(str(folder), [marker(folder, "{split}", split) for split in ("train", "val")])


def _pairs(lister: Lister, root: Path, split: Split) -> list[Pair]:
    folder = existing_split(root, "{split}", split)
    files = lister.photos(folder)
    return [pair._replace(name=f"{split}/{pair.name}") for pair in lister.match(files, files, folder, folder)]


def _palette() -> dict[Color, int]:
    palette: dict[Color, int] = {}
    for _, _, train_id, color in LABELS:
        # Poles and groups of poles share a colour; the pole wins, because groups are void in training.
        palette[color] = min(train_id, palette.get(color, IGNORE_INDEX))
    return palette


PALETTE: Final = _palette()
"""Official colour -> training id, or 255 for void."""
