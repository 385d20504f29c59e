"""Ensembles: the best trials of a run predict together, by the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from segray.config import RunConfig, SizePx
from segray.engine.checkpoint import load_checkpoint
from segray.errors import ConfigError
from segray.folder import Folder, open_folder
from segray.inference.location import ModelLocation
from segray.inference.predictor import Predictor
from segray.labels import LabelSpace
from segray.storage import SweepFiles


def load_ensemble(
    run: str | Path | Folder,
    k: int,
    *,
    device: str | torch.device | None = None,
    window_px: SizePx | None = None,
    overlap: float = 0.5,
    tta: str = "",
) -> Predictor:
    """Load the best trials of a run as one predictor; each is computed in its own precision and memory layout.

    Args:
        run: The run; a path or URL.
        k: Number of trials, the best first; failed trials do not count.
        device: See ``Predictor``, as for the other arguments.
        window_px: (height, width) of sliding windows.
        overlap: Least share of a window's side that neighbours share.
        tta: Test-time augmentation, such as ``flip,0.75,1.25``.

    Raises:
        StorageError: There is no run, it has no model, or a model is damaged.
        ConfigError: The run has fewer models, they cannot vote on the same pixels and classes, or an argument cannot
            work.
        ResourceError: The device is not there.
    """
    locations = best_models(run, k)
    loaded = [load_checkpoint(location.folder) for location in locations]
    models, configs, label_spaces = (list(part) for part in zip(*loaded, strict=True))
    check_members(locations, configs, label_spaces)
    return Predictor(
        models,
        configs[0],
        label_spaces[0],
        device=device,
        window_px=window_px,
        overlap=overlap,
        tta=tta,
        locations=locations,
        train_configs=[config.train for config in configs],
        title=f"ensemble of trials {', '.join(_ids(locations))}" if k > 1 else "",
    )


def best_models(run: str | Path | Folder, k: int | None = None) -> list[ModelLocation]:
    """Return the best models of a run, the best first.

    Args:
        run: The run; a path or URL.
        k: Number of trials; None for all that have a model.

    Raises:
        StorageError: There is no run, or it has no model.
        ConfigError: The run has fewer models.
    """
    files = SweepFiles(run if isinstance(run, Folder) else open_folder(run))
    ranked = files.ranked()
    if k is not None and not 1 <= k <= len(ranked):
        raise ConfigError(
            f"the number of trials must be from 1 to {len(ranked)}, the trials of {files.name} that have a model and "
            f"did not fail, but got {k}"
        )
    return [
        ModelLocation(trial.folder.child(pointer.checkpoint), files, trial, pointer) for trial, pointer in ranked[:k]
    ]


def check_members(
    locations: Sequence[ModelLocation], configs: Sequence[RunConfig], label_spaces: Sequence[LabelSpace]
) -> None:
    """Check that models can vote on the same pixels and classes.

    Raises:
        ConfigError: Sizes or classes differ.
    """
    for trial, config, label_space in zip(_ids(locations), configs, label_spaces, strict=True):
        if config.data.resize_px != configs[0].data.resize_px:
            raise ConfigError(
                "the models of an ensemble must take photos of one size, but data.resize_px is "
                f"{configs[0].data.resize_px} in trial {_ids(locations)[0]} and {config.data.resize_px} in {trial}"
            )
        if label_space != label_spaces[0]:
            raise ConfigError(
                "the models of an ensemble must tell the same classes apart, but trial "
                f"{_ids(locations)[0]} has {', '.join(label_spaces[0].names)}, and trial {trial} has "
                f"{', '.join(label_space.names)}"
            )


def _ids(locations: Sequence[ModelLocation]) -> list[str]:
    return [location.trial.id if location.trial else location.folder.path for location in locations]
