import re
import time

import pytest
import torch

from segray.config import ModelConfig
from segray.errors import ConfigError
from segray.models import build_model, check_model, check_train_shape


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"name": "spm"}, "unknown model.name 'spm'; did you mean 'smp'?"),
        ({"arch": "Unett"}, "unknown model.arch 'Unett'; did you mean 'Unet'"),
        ({"encoder": "resnet81"}, "unknown model.encoder 'resnet81'; did you mean 'resnet18'"),
        ({"encoder": "tu-resnet81"}, "unknown model.encoder 'tu-resnet81'; did you mean 'tu-resnet18'"),
        ({"encoder": "tu-resnet18.a1_in2k"}, "did you mean 'tu-resnet18.a1_in1k'"),
        ({"encoder": "timm-mobilenetv3_small_100"}, "did you mean 'tu-mobilenetv3_small_100'"),
    ],
)
def test_unknown_name_gives_the_nearest(values, named):
    with pytest.raises(ConfigError, match=re.escape(named)):
        check_model(ModelConfig(**values))


@pytest.mark.parametrize("encoder", ["resnet18", "mit_b5", "tu-resnet18.a1_in1k", "timm-efficientnet-b0"])
def test_known_encoders_pass(encoder):
    check_model(ModelConfig(encoder=encoder))


def test_transformers_of_a_trained_size_take_other_sizes():
    check_model(ModelConfig(encoder="tu-swin_tiny_patch4_window7_224"))
    check_model(ModelConfig(arch="DPT", encoder="tu-vit_tiny_patch16_224"))


@pytest.mark.parametrize(
    ("arch", "encoder", "other_encoder", "other_arch"),
    [
        ("Linknet", "mit_b0", "resnet18", "Unet"),
        ("UnetPlusPlus", "mit_b0", "resnet18", "Unet"),
        ("DeepLabV3", "vgg11", "mobilenet_v2", "FPN"),
        ("PAN", "tu-swin_tiny_patch4_window7_224", "resnet18", "UPerNet"),
        ("DPT", "resnet18", "tu-vit_tiny_patch16_224", "Unet"),
        ("Unet", "tu-vit_tiny_patch16_224", "resnet18", "DPT"),
    ],
)
def test_refused_pair_is_named_with_what_goes_together(arch, encoder, other_encoder, other_arch):
    with pytest.raises(ConfigError) as caught:
        check_model(ModelConfig(arch=arch, encoder=encoder))
    message = str(caught.value)
    assert message.startswith(f"model.arch='{arch}' does not take model.encoder='{encoder}' (")
    encoders, archs = message.rsplit("encoders that", 1)[1].split(f"architectures that take {encoder}:")
    assert other_encoder in encoders
    assert other_arch in archs


@pytest.mark.parametrize(
    ("arch", "encoder"), [("Unet", "tu-maxvit_tiny_tf_224"), ("DPT", "tu-vit_small_patch14_dinov2")]
)
def test_encoder_of_a_fixed_size_is_refused(arch, encoder):
    with pytest.raises(ConfigError, match="must segment photos of any size, but failed on"):
        check_model(ModelConfig(arch=arch, encoder=encoder))


def test_check_takes_no_memory_and_draws_no_random_number():
    state = torch.random.get_rng_state()
    started = time.perf_counter()
    check_model(ModelConfig(encoder="mit_b5"))
    assert time.perf_counter() - started < 30, "building mit_b5 for real takes a minute or more"
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("arch", ["DeepLabV3Plus", "UPerNet"])
def test_one_image_a_worker_is_refused_where_an_image_is_pooled_to_one_value(arch):
    config = ModelConfig(arch=arch)
    with pytest.raises(ConfigError, match="use at least 2 images per worker"):
        check_train_shape(config, batch_size=1, size_px=(160, 224))
    check_train_shape(config, batch_size=2, size_px=(160, 224))
    check_train_shape(ModelConfig(arch="Unet"), batch_size=1, size_px=(160, 224))


def test_what_the_shape_check_refuses_torch_refuses_too():
    model = build_model(ModelConfig(arch="DeepLabV3Plus", encoder_weights="none"), num_classes=2).train()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        model(torch.zeros(1, 3, 64, 64))
