"""Predicted images without a model, for tests of scores."""

from pathlib import Path

import torch

from segray.data.files.pair import Pair
from segray.inference.scores.image import JudgedImage


def judged_image(logits_CHW, judged_HW, name="um_000001", label=Path("label.png")):
    return JudgedImage(
        pair=Pair(name, Path("photo.png"), label),
        logits_CHW=logits_CHW,
        predicted_HW=logits_CHW.argmax(0),
        judged_HW=torch.as_tensor(judged_HW).long(),
    )


def random_image(seed, num_classes=3, size_px=(40, 50), void=0.1, **given):
    random = torch.Generator().manual_seed(seed)
    judged_HW = torch.randint(num_classes, size_px, generator=random)
    logits_CHW = 2 * torch.randn(num_classes, *size_px, generator=random)
    logits_CHW += 2 * torch.nn.functional.one_hot(judged_HW, num_classes).permute(2, 0, 1)
    judged_HW[torch.rand(size_px, generator=random) < void] = 255
    return judged_image(logits_CHW, judged_HW, **given)
