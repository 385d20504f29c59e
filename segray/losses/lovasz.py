"""Lovasz-Softmax: a convex surrogate of the IoU.

Shape suffixes: B images, C classes (present in the batch after the first lines), H height, W width, N labelled pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segray.config import LossConfig
from segray.labels import IGNORE_INDEX


class LovaszSoftmax(nn.Module):
    """Lovasz extension of the Jaccard loss, mean over the classes present in the batch.

    Source: Berman et al., The Lovasz-Softmax loss (arXiv:1705.08790), eq. 9 and algorithm 1; over the batch, not per image.
    """

    def forward(self, logits_BCHW: Tensor, labels_BHW: Tensor) -> Tensor:
        """Scalar loss of a batch."""
        labels_N = labels_BHW.flatten()
        labelled = labels_N != IGNORE_INDEX
        labels_N = labels_N[labelled]
        if labels_N.numel() == 0:
            return logits_BCHW.sum() * 0.0
        probabilities_CN = logits_BCHW.softmax(dim=1).movedim(1, 0).flatten(1)[:, labelled]
        classes_C = labels_N.unique()
        truth_CN = labels_N == classes_C[:, None]
        probabilities_CN = probabilities_CN[classes_C]
        errors_CN = torch.where(truth_CN, 1 - probabilities_CN, probabilities_CN)
        return (errors_CN * _jaccard_gradient(errors_CN.detach(), truth_CN)).sum() / len(classes_C)


def _jaccard_gradient(errors_CN: Tensor, truth_CN: Tensor) -> Tensor:
    """How much the Jaccard loss grows when each pixel, from the worst error down, joins the wrong ones (algorithm 1)."""
    order_CN = _descending(errors_CN)
    truth_CN = truth_CN.gather(1, order_CN).float()
    total_C1 = truth_CN.sum(dim=1, keepdim=True)
    missed_CN = truth_CN.cumsum(dim=1)
    wrong_CN = torch.arange(1, errors_CN.shape[1] + 1, device=errors_CN.device) - missed_CN
    loss_CN = 1 - (total_C1 - missed_CN) / (total_C1 + wrong_CN)
    gradient_CN = loss_CN.diff(dim=1, prepend=torch.zeros_like(total_C1))
    return torch.empty_like(gradient_CN).scatter_(1, order_CN, gradient_CN)


def _descending(errors_CN: Tensor) -> Tensor:
    """Indices that sort each row from large to small."""
    if errors_CN.device.type == "cpu":
        # On one core NumPy sorts 11 x 287,000 errors in 38 ms, torch in 250 ms.
        return torch.from_numpy((-errors_CN).numpy().argsort(axis=1))
    return errors_CN.argsort(dim=1, descending=True)


def build_lovasz(config: LossConfig, class_weights_C: Tensor) -> nn.Module:  # noqa: ARG001
    """Lovasz-Softmax loss."""
    return LovaszSoftmax()
