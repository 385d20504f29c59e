"""An SMP network in SMP's own ``save_pretrained`` form, so that users of SMP can load it without segray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from segray.config import RunConfig
from segray.models import SegmentationModel


def has_smp_form(config: RunConfig) -> bool:
    """Return whether a model is a plain SMP network; one that paints RGB needs segray to decode its colours."""
    return config.model.name == "smp" and config.model.output == "logits"


def save_smp_form(model: SegmentationModel, folder: Path) -> None:
    """Write config.json and model.safetensors as SMP's ``save_pretrained`` does.

    Args:
        model: An SMP network; what lies around the network (normalisation, padding, resizing) is not saved.
        folder: Folder to make.
    """
    network: Any = model.network
    # safetensors refuses channels-last tensors.
    network = network.to(memory_format=torch.contiguous_format)
    network.save_pretrained(folder)
    # The hub's model card would say nothing that README.md above does not say better.
    (folder / "README.md").unlink(missing_ok=True)
