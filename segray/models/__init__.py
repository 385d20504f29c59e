"""Networks: photos in, one logit per class and pixel out."""

from segray.models.build import MODELS, WITHOUT_ENCODER, build_model, resolve_encoder_weights
from segray.models.check import check_model, check_train_shape, meta_model
from segray.models.segmentation import SegmentationModel

__all__ = [
    "MODELS",
    "WITHOUT_ENCODER",
    "SegmentationModel",
    "build_model",
    "check_model",
    "check_train_shape",
    "meta_model",
    "resolve_encoder_weights",
]
