"""Scoring: the classes that predictions are judged by, and the way to them from a model's classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from segray.data.files.pair import Pair
from segray.labels import LabelSpace

if TYPE_CHECKING:  # processes that decode images do without torch, which takes seconds to import
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """The classes that predictions are judged by, and the way to them from the classes that a model is trained on."""

    label_space: LabelSpace
    """The classes to judge by; their raw ids are not used"""
    class_of: tuple[int | None, ...]
    """The class of `label_space` that each class of training stands for; None if it stands for none of them"""
    read_label: Callable[[Pair], NDArray[np.uint8]] | None = None
    """Returns ids of `label_space` (height, width), 255 for void, if the labels of training do not hold them;
    pickles, and several threads may call it at once"""

    @property
    def differs(self) -> bool:
        """Whether predictions are judged by other labels than a model is trained on."""
        return self.read_label is not None

    def judged_label(self, pair: Pair, label: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the ids that predictions of an image are judged by: its label, unless the labels differ.

        Args:
            pair: The image's files.
            label: Training ids (height, width), as the data set's reader returns them.

        Raises:
            DataError: A file cannot be used.
        """
        return label if self.read_label is None else self.read_label(pair)

    def predict(self, logits_BCHW: Tensor) -> Tensor:
        """Return the most likely class to judge at each pixel, (B, H, W), int64.

        Args:
            logits_BCHW: A model's logits, one channel per class of training. A class of training that stands for none
                of the judged classes is never predicted.
        """
        if not self.differs:
            return most_likely(logits_BCHW)
        standing = [index for index, class_id in enumerate(self.class_of) if class_id is not None]
        class_of = logits_BCHW.new_tensor([self.class_of[index] for index in standing]).long()
        return class_of[most_likely(logits_BCHW[:, standing])]


def by_classes_of_training(label_space: LabelSpace) -> Scoring:
    """Return the scoring that judges predictions by the classes and labels of training."""
    return Scoring(label_space=label_space, class_of=tuple(range(label_space.num_classes)))


def most_likely(logits_BCHW: Tensor) -> Tensor:
    """Return the channel with the largest logit at each pixel, (B, H, W), int64."""
    # On a CPU, max is 4 times as fast as argmax on contiguous logits, and as fast on channels-last ones.
    return logits_BCHW.max(dim=1).indices
