"""Networks that map photos to one logit per class and pixel, and discriminators that judge their label images."""

from segray.models.build import MODELS, WITHOUT_ENCODER, build_model, resolve_encoder_weights
from segray.models.check import check_model, check_train_shape, meta_model, model_name
from segray.models.discriminators import Discriminator, build_discriminator, check_discriminator
from segray.models.encoder_weights import check_encoder_files
from segray.models.palette import check_output, check_palette
from segray.models.segmentation import SegmentationModel

__all__ = [
    "MODELS",
    "WITHOUT_ENCODER",
    "Discriminator",
    "SegmentationModel",
    "build_discriminator",
    "build_model",
    "check_discriminator",
    "check_encoder_files",
    "check_model",
    "check_output",
    "check_palette",
    "check_train_shape",
    "meta_model",
    "model_name",
    "resolve_encoder_weights",
]
