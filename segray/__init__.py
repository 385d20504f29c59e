"""segray: hyperparameter sweeps for street-scene segmentation, on a laptop or a Ray cluster."""

from segray.config import RunConfig
from segray.errors import SegrayError
from segray.labels import LabelSpace

__all__ = ["LabelSpace", "RunConfig", "SegrayError", "__version__"]

__version__ = "0.1.0"
