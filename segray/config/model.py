"""The config sections about the network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from segray.config.mark import Decides, Mark
from segray.config.section import Section


class FcnConfig(Section):
    """Options of the `fcn8s` model."""

    output_stride: Literal[8, 16, 32] = 8
    """Stride of the finest scores, in pixels: 8 is FCN-8s, 16 is FCN-16s, 32 is FCN-32s"""
    head_width: PositiveInt = 4096
    """Channels of the fully connected layers fc6 and fc7; weights files hold them at 4096"""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of the values dropped after fc6 and fc7"""
    score_std: float = Field(default=0.01, gt=0)
    """Standard deviation of the truncated normal that initialises the 1x1 score convolutions"""


class UnetConfig(Section):
    """Options of the `unet` model."""

    widths: tuple[PositiveInt, ...] = (64, 128, 256, 512, 512)
    """Channels of the encoder's stages; each stage but the last halves the map, so their number is the depth"""
    convolutions: tuple[PositiveInt, ...] = (2, 2, 3, 3, 3)
    """Number of 3x3 convolutions in each encoder stage, as many numbers as widths"""
    decoder_widths: tuple[PositiveInt, ...] = (256, 128, 64, 32)
    """Channels of the decoder's stages from the coarsest, one number fewer than widths"""
    width_multiplier: float = Field(default=1.0, gt=0, le=8)
    """Factor on all widths: a single number that a search can draw"""
    batch_norm: bool = False
    """Batch normalisation after every 3x3 convolution"""


class GeneratorConfig(Section):
    """Options of the `pix2pix`, `unet_instance_norm` and `resnet` models."""

    width: PositiveInt = 64
    """Channels of the first stage; later ones have up to 8 times (U-Nets) or 4 times (resnet) as many"""
    depth: int = Field(default=8, ge=2, le=10)
    """Number of times the map is halved: 8 is pix2pix's U-Net 256, 7 its U-Net 128 (pix2pix, unet_instance_norm)"""
    num_blocks: PositiveInt = 9
    """Number of residual blocks (resnet)"""
    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of the values dropped in the decoder's three coarsest stages (pix2pix, unet_instance_norm)"""


class ModelConfig(Section):
    """The network."""

    name: Annotated[str, Mark(Decides.NETWORK, registry="segray.models.build:MODELS")] = "smp"
    """Model family: smp, fcn8s, unet, pix2pix, unet_instance_norm, resnet"""
    output: Literal["logits", "rgb"] = "logits"
    """logits: one per class; rgb: a colour, which means the class with the nearest colour"""
    arch: str = "Unet"
    """Architecture of segmentation-models-pytorch, such as Unet, FPN, DeepLabV3Plus, Segformer (smp)"""
    encoder: str = "resnet18"
    """Encoder of SMP, or of timm with the prefix tu- (smp); vgg16, vgg16_bn, tu-vgg16, tu-vgg16_bn (fcn8s)"""
    encoder_weights: str = "auto"
    """none, imagenet, a weights file or a folder of them, or auto: imagenet if it can be had, else none (smp, fcn8s)"""
    weights: str = ""
    """Folder or URL of a whole trained model to start from: its layers whose names and shapes fit are loaded"""
    fcn: FcnConfig = FcnConfig()
    unet: UnetConfig = UnetConfig()
    generator: GeneratorConfig = GeneratorConfig()
