"""A predicted image with its labels, as all scores take it.

Shape suffixes: C channels or classes, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segray.data.files.pair import Pair
from segray.labels import IGNORE_INDEX


@dataclass(frozen=True, kw_only=True)
class JudgedImage:
    """A predicted image with its labels, at the labels' own size."""

    pair: Pair
    logits_CHW: Tensor
    """Logits of the classes of training, float32"""
    predicted_HW: Tensor
    """The predicted classes, of those that predictions are judged by; int64 on the device of the logits"""
    judged_HW: Tensor
    """The true classes, 255 for void; int64 on the same device"""

    @cached_property
    def predicted_array(self) -> NDArray[np.uint8]:
        """The predicted classes, (H, W)."""
        return self.predicted_HW.to(torch.uint8).cpu().numpy()

    @cached_property
    def judged_array(self) -> NDArray[np.uint8]:
        """The true classes, (H, W), 255 for void."""
        return self.judged_HW.to(torch.uint8).cpu().numpy()

    @cached_property
    def is_labelled(self) -> Tensor:
        """Whether a pixel is not void, (H, W)."""
        return self.judged_HW != IGNORE_INDEX

    @cached_property
    def _log_total(self) -> Tensor:
        return self.logits_CHW.logsumexp(dim=0)

    def confidence(self) -> Tensor:
        """Return the probability of the predicted class, (H, W), if that is a class of training."""
        return (self.logits_CHW.gather(0, self.predicted_HW[None])[0] - self._log_total).exp()

    def probability(self, class_id: int) -> Tensor:
        """Return the probability of a class of training, (H, W)."""
        return (self.logits_CHW[class_id] - self._log_total).exp()
