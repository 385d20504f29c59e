"""A benchmark: which images it asks for, what their files hold, and what a file may hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segray.inference.prediction import Prediction
from segray.labels import LabelSpace

Encode = Callable[[Prediction], NDArray[np.uint8]]
"""Maps a prediction to the values of its file, (height, width)"""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """The rules of a benchmark for the files of a submission."""

    dataset: str
    """Name of its data set in DATASETS"""
    photos: Callable[[str, str], Mapping[str, Path]]
    """Maps the folder of the data set and a split to key -> photo; raises DataError"""
    splits: tuple[str, ...]
    """Splits that can be predicted, the benchmark's own first"""
    file_name: Callable[[str], str]
    """Maps a key to the name of its file in the zip"""
    key_of: Callable[[str], str | None]
    """Maps a file's path in a zip to its key; None if the benchmark would not read it"""
    encoder: Callable[[LabelSpace], Encode]
    """Returns the encoder for a model's classes; raises ConfigError where they do not suit the benchmark"""
    needs_probabilities: bool
    """Whether the encoder needs the probability of every class"""
    values: frozenset[int]
    """Values that a pixel may have"""
    value_names: str
    """The values in words"""
    modes: tuple[str, ...] = ("L",)
    """Pillow's names of the pixel formats that the benchmark reads; each has one channel of 8 bits"""
    next_step: str
    """The next step for a person who has the zip"""
