"""The normalisation of every encoder's photos, which must be that of the training of its weights."""

import pytest
import timm
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from segmentation_models_pytorch.encoders import encoders

from segray.config import ModelConfig
from segray.models import build_model
from segray.models.normalisation import IMAGENET, Normalisation, encoder_normalisation

INCEPTION = Normalisation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
# SMP encoder -> timm model with the same ImageNet weights, whose record says how the weights were trained.
SAME_WEIGHTS = {
    "inceptionv4": "inception_v4.tf_in1k",
    "inceptionresnetv2": "inception_resnet_v2.tf_in1k",
    "xception": "legacy_xception.tf_in1k",
    "dpn68": "dpn68.mx_in1k",
    "dpn92": "dpn92.mx_in1k",
    "dpn98": "dpn98.mx_in1k",
    "dpn107": "dpn107.mx_in1k",
    "dpn131": "dpn131.mx_in1k",
    "senet154": "legacy_senet154.in1k",
    "se_resnet50": "legacy_seresnet50.in1k",
    "resnet18": "resnet18.tv_in1k",
    "vgg16": "vgg16.tv_in1k",
    "densenet121": "densenet121.tv_in1k",
    "mobileone_s0": "mobileone_s0.apple_in1k",
    "timm-efficientnet-b4": "tf_efficientnet_b4.aa_in1k",
    "timm-efficientnet-b8": "tf_efficientnet_b8.ra_in1k",
    "timm-skresnet18": "skresnet18.ra_in1k",
    **{f"timm-tf_efficientnet_lite{size}": f"tf_efficientnet_lite{size}.in1k" for size in range(5)},
}


def of_timm(name):
    source = timm.get_pretrained_cfg(name)
    return Normalisation(mean=source.mean, std=source.std)


@pytest.mark.parametrize(("encoder", "same"), SAME_WEIGHTS.items())
def test_an_encoder_of_smp_is_normalised_as_timm_says_of_the_same_weights(encoder, same):
    found, expected = encoder_normalisation(encoder, "imagenet"), of_timm(same)
    assert found.mean == pytest.approx(expected.mean)
    assert found.std == pytest.approx(expected.std)


def test_every_other_encoder_of_smp_is_normalised_by_imagenet():
    other = [name for name in encoders if encoder_normalisation(name, "imagenet") != IMAGENET]
    assert other
    assert all(name in SAME_WEIGHTS or name == "dpn68b" for name in other)


@pytest.mark.parametrize("tag", ["", ".openai", ".augreg_in21k"])
def test_an_encoder_of_timm_is_normalised_as_the_weights_of_its_tag(tag):
    name = f"vit_base_patch16_clip_224{tag}" if tag == ".openai" else f"vit_base_patch16_224{tag}"
    assert encoder_normalisation(f"tu-{name}", "imagenet") == of_timm(name) != IMAGENET


def test_all_pretrained_models_of_timm_have_statistics_that_are_valid():
    found = [encoder_normalisation(f"tu-{name}", "imagenet") for name in timm.list_models(pretrained=True)]
    others = sum(one != IMAGENET for one in found)
    assert 0.3 < others / len(found) < 0.5


@pytest.mark.parametrize("encoder", ["tu-tf_efficientnet_lite0", "inceptionv4", "resnet18"])
def test_from_scratch_every_encoder_is_normalised_by_imagenet(encoder):
    assert encoder_normalisation(encoder, "none") == IMAGENET


@pytest.mark.parametrize(("encoder", "expected"), [("tu-tf_efficientnet_lite0", INCEPTION), ("tu-resnet18", IMAGENET)])
def test_a_model_with_weights_from_a_file_normalises_as_the_encoder_was_trained(tmp_path, encoder, expected):
    scratch = build_model(ModelConfig(encoder=encoder, encoder_weights="none"), num_classes=2)
    save_file(scratch.network.encoder.state_dict(), tmp_path / "weights.safetensors")
    config = ModelConfig(encoder=encoder, encoder_weights=str(tmp_path / "weights.safetensors"))
    model = build_model(config, num_classes=2)
    assert model.normalisation == expected
    model.network = torch.nn.Identity()
    photos_BCHW = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (expected.mean, expected.std))
    torch.testing.assert_close(model(photos_BCHW), (photos_BCHW / 255 - mean) / std)


def test_a_model_that_paints_normalises_as_the_encoder_was_trained(tmp_path):
    encoder = "tu-tf_efficientnet_lite0"
    scratch = build_model(ModelConfig(encoder=encoder, encoder_weights="none"), num_classes=2)
    save_file(scratch.network.encoder.state_dict(), tmp_path / "weights.safetensors")
    config = ModelConfig(output="rgb", encoder=encoder, encoder_weights=str(tmp_path / "weights.safetensors"))
    assert build_model(config, num_classes=2, palette=[(0, 0, 0), (255, 0, 0)]).normalisation == INCEPTION


def test_statistics_that_cannot_be_divided_by_are_refused():
    with pytest.raises(ValidationError):
        Normalisation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.0, 0.5))
