"""segray: hyperparameter sweeps for street-scene segmentation, on a laptop or a Ray cluster."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segray.config import RunConfig
    from segray.engine.checkpoint import load_model
    from segray.errors import SegrayError
    from segray.labels import LabelSpace

__all__ = ["LabelSpace", "RunConfig", "SegrayError", "__version__", "load_model"]

__version__ = "0.1.0"

_HOMES = {
    "LabelSpace": "segray.labels",
    "RunConfig": "segray.config",
    "SegrayError": "segray.errors",
    "load_model": "segray.engine.checkpoint",
}


def __getattr__(name: str) -> Any:
    # Imported at first use, so that the command line answers without loading torch or pydantic.
    if name not in _HOMES:
        raise AttributeError(f"module 'segray' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
