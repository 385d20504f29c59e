"""Labels of `cityscapes_pairs` by K-Means: trained on clusters of the masks' colours, judged by Cityscapes' classes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segray.config.data import PairsConfig
from segray.data.datasets.kmeans import kept_clusters
from segray.data.datasets.nearest_color import nearest_color
from segray.data.datasets.pairs_reader import PALETTE, PairsReader, PaletteLabels, palette_space, read_mask
from segray.data.datasets.scoring import Scoring
from segray.data.files.pair import Pair
from segray.errors import ConfigError
from segray.labels import IGNORE_INDEX, Color, LabelSpace


class Clusters(NamedTuple):
    """The parts of a data set whose models are trained on clusters."""

    label_space: LabelSpace
    reader: PairsReader
    scoring: Scoring


def clusters(config: PairsConfig, train: Sequence[Pair], places: Sequence[Path]) -> Clusters:
    """Return the clusters of the training masks' colours.

    Args:
        config: Number of clusters, seed, and the rule for the palette label that predictions are judged by.
        train: The training images.
        places: Folders in which the fit may be stored.

    Raises:
        ConfigError: The number of clusters or the seed cannot work, or all clusters are void.
        DataError: The stored fit is damaged, or no mask can be read.
    """
    masks = {pair.name: pair.label for pair in train}
    centers = kept_clusters(places, masks, read_mask, config.num_clusters, config.kmeans_seed)
    centers, space, class_of = name_clusters(centers)
    palette = PaletteLabels(config.max_distance)
    scoring = Scoring(label_space=palette_space(), class_of=class_of, read_label=PairsReader(palette).read_label)
    return Clusters(space, PairsReader(ClusterLabels(centers, palette)), scoring)


@dataclass(frozen=True)
class ClusterLabels:
    """Gives each pixel the nearest of K cluster centres; no pixel is void."""

    centers: tuple[Color, ...]
    """In training-id order"""
    judged: PaletteLabels
    """Decoder of the labels that predictions are judged by; only the key uses it"""

    @property
    def key(self) -> str:
        """The centres, and the key of the labels that predictions are judged by."""
        return json.dumps({"centers": self.centers, "truth": self.judged.key})

    def __call__(self, mask: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:  # noqa: ARG002 - any colours will do
        """Return training ids of the K clusters."""
        return nearest_color(mask, self.centers)[0]


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
