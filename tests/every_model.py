"""Every model family and architecture, small."""

from segray.config import FcnConfig, GeneratorConfig, ModelConfig, UnetConfig
from segray.labels import distinct_colors
from segray.models import SegmentationModel, build_model
from segray.models.smp import ARCHITECTURES

NUM_CLASSES = 5
TINY_ENCODERS = {"DPT": "tu-test_vit"}
SMP_CONFIGS = [
    ModelConfig(arch=arch, encoder=TINY_ENCODERS.get(arch, "tu-test_efficientnet"), encoder_weights="none")
    for arch in ARCHITECTURES
]
FCN_CONFIGS = [
    ModelConfig(
        name="fcn8s", encoder=encoder, encoder_weights="none", fcn=FcnConfig(output_stride=stride, head_width=8)
    )
    for encoder, stride in (("vgg16", 8), ("vgg16_bn", 8), ("vgg16_bn", 16), ("vgg16_bn", 32))
]
UNET_CONFIGS = [
    ModelConfig(
        name="unet",
        unet=UnetConfig(widths=(4, 6, 8), convolutions=(1, 2, 3), decoder_widths=(6, 4), batch_norm=batch_norm),
    )
    for batch_norm in (False, True)
]
SMALL_GENERATOR = GeneratorConfig(width=4, depth=4, num_blocks=2)
GENERATOR_CONFIGS = {
    name: [ModelConfig(name=name, output=output, generator=SMALL_GENERATOR) for output in ("logits", "rgb")]
    for name in ("pix2pix", "unet_instance_norm", "resnet")
}
GENERATORS = [one for family in GENERATOR_CONFIGS.values() for one in family]
LOGIT_CONFIGS = {"smp": SMP_CONFIGS, "fcn8s": FCN_CONFIGS, "unet": UNET_CONFIGS}
CONFIGS = {
    name: [*configs, configs[0].model_copy(update={"output": "rgb"})] for name, configs in LOGIT_CONFIGS.items()
} | GENERATOR_CONFIGS
ALL_CONFIGS = [one for family in CONFIGS.values() for one in family]
OWN_CONFIGS = [one for name, family in CONFIGS.items() if name != "smp" for one in family]
ONE_OF_EACH = [
    one for family in CONFIGS.values() for one in (family[0], family[0].model_copy(update={"output": "rgb"}))
]
"""The first model of every family, with logits and with colours as output"""


def name_of(config: ModelConfig) -> str:
    parts = {
        "smp": [config.arch],
        "fcn8s": [config.encoder, str(config.fcn.output_stride)],
        "unet": ["batch_norm"] if config.unet.batch_norm else [],
    }.get(config.name, [])
    return "-".join([config.name, *parts, *(["rgb"] if config.output == "rgb" else [])])


def build(config: ModelConfig, num_classes: int = NUM_CLASSES) -> SegmentationModel:
    return build_model(config, num_classes, palette=distinct_colors(num_classes))
