"""segray: hyperparameter sweeps for street-scene segmentation, on a laptop or a Ray cluster."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segray.config import RunConfig
    from segray.errors import SegrayError
    from segray.inference.ensemble import load_ensemble
    from segray.inference.predictor import load_model
    from segray.labels import LabelSpace
    from segray.recipes import RECIPES
    from segray.results import load as load_results
    from segray.tuning.command import main
    from segray.tuning.sweep import Sweep

__all__ = [
    "RECIPES",
    "LabelSpace",
    "RunConfig",
    "SegrayError",
    "Sweep",
    "__version__",
    "load_ensemble",
    "load_model",
    "load_results",
    "main",
]

__version__ = "0.1.0"

_HOMES = {
    "RECIPES": ("segray.recipes", "RECIPES"),
    "LabelSpace": ("segray.labels", "LabelSpace"),
    "RunConfig": ("segray.config", "RunConfig"),
    "SegrayError": ("segray.errors", "SegrayError"),
    "Sweep": ("segray.tuning.sweep", "Sweep"),
    "load_ensemble": ("segray.inference.ensemble", "load_ensemble"),
    "load_model": ("segray.inference.predictor", "load_model"),
    "load_results": ("segray.results", "load"),
    "main": ("segray.tuning.command", "main"),
}
"""Public name -> module and name there."""


def __getattr__(name: str) -> object:
    # Imported at first use, so that the command line answers without loading torch or pydantic.
    if name not in _HOMES:
        raise AttributeError(f"module 'segray' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
