"""mIoU under corruptions of the photos."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from segray.inference.corruptions import CORRUPTIONS, STRENGTHS
from segray.inference.evaluate import Announce, predict_split
from segray.inference.predictor import Predictor
from segray.inference.scores.sums import MiouSums
from segray.inference.split_data import LabelledImage, SplitData
from segray.split_scores import CorruptionScores


def corrupted_miou(model: Predictor, data: SplitData, clean_miou: float | None, announce: Announce) -> CorruptionScores:
    """Evaluate a model under every corruption at every strength, at the labels' own size.

    Args:
        model: The model.
        data: The images; their photos are corrupted at their own size, their labels stay as they are.
        clean_miou: mIoU without corruption.
        announce: Called with a line for each corruption, and on progress.

    Raises:
        DataError: A file cannot be used.
    """
    found = {}
    for name in CORRUPTIONS:
        announce(f"judging under {name} at {len(STRENGTHS)} strengths, {len(data)} images each")
        found[name] = tuple(_miou(model, data, name, strength, announce) for strength in STRENGTHS)
    return CorruptionScores(clean_miou=clean_miou, miou=found)


def _miou(model: Predictor, data: SplitData, name: str, strength: int, announce: Announce) -> float | None:
    def corrupted(image: LabelledImage) -> NDArray[np.uint8]:
        # The seed depends on the image alone, so that results repeat, and strengths differ in nothing else.
        return CORRUPTIONS[name](image.photo, strength, zlib.crc32(image.pair.name.encode()))

    sums = MiouSums(data.scoring)
    predict_split(model, data, [sums], announce, corrupted)
    return sums.miou()
