"""Cross-entropy with class weights and label smoothing.

Shape suffixes: B images, C classes, H height, W width.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from segray.config import LossConfig
from segray.labels import IGNORE_INDEX
from segray.losses.class_weights import PixelWeights, class_weights


class CrossEntropy(nn.Module):
    """Weighted mean of the cross-entropy over labelled pixels.

    Equals ``torch.nn.functional.cross_entropy`` with the mean reduction, except that a batch that is all void gives 0:
    torch divides by zero there.
    """

    def __init__(self, class_weights_C: Tensor, label_smoothing: float):
        super().__init__()
        self.pixel_weights = PixelWeights(class_weights_C)
        self.label_smoothing = label_smoothing

    def forward(self, logits_BCHW: Tensor, labels_BHW: Tensor) -> Tensor:
        """Return the scalar loss of a batch."""
        total = F.cross_entropy(
            logits_BCHW,
            labels_BHW,
            weight=self.pixel_weights.table[: logits_BCHW.shape[1]],
            ignore_index=IGNORE_INDEX,
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )
        weights_BHW: Tensor = self.pixel_weights(labels_BHW)
        return total / weights_BHW.sum().clamp(min=1e-6)


def build_cross_entropy(config: LossConfig, class_pixels_C: Tensor) -> nn.Module:
    """Build the cross-entropy with the config's class weights and label smoothing."""
    return CrossEntropy(class_weights(config, class_pixels_C), config.label_smoothing)
