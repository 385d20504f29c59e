"""segray weights: a run without the hub starts from what it writes."""

import sys

import pytest
import timm
import torch
from hub_cache import cached
from safetensors.torch import load_file, save_file
from segmentation_models_pytorch.encoders import encoders as smp_encoders

from segray.cli import main
from segray.config import ModelConfig
from segray.models import build_model

ARCHS = {"tu-test_efficientnet": "Unet", "tu-test_vit": "DPT", "mobilenet_v2": "Unet"}


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["segray", "weights", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def encoder_weights(name, choice):
    config = ModelConfig(arch=ARCHS[name], encoder=name, encoder_weights=str(choice))
    return build_model(config, num_classes=2).network.encoder.state_dict()


def fill_hub_cache(cache):
    """Put random ImageNet weights of all three encoders into the cache."""
    for name in ("test_efficientnet", "test_vit"):
        file = cached(cache, timm.get_pretrained_cfg(name).hf_hub_id, "a" * 40)
        save_file(timm.create_model(name).state_dict(), file)
    hub = smp_encoders["mobilenet_v2"]["pretrained_settings"]["imagenet"]
    save_file(encoder_weights("mobilenet_v2", "none"), cached(cache, hub["repo_id"], hub["revision"]))


def test_fetched_files_are_what_imagenet_loads(monkeypatch, capsys, tmp_path, silent_hub, cache, seeded):
    fill_hub_cache(cache)
    folder = tmp_path / "weights"
    assert run(monkeypatch, "fetch", *ARCHS, "-o", folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" (")[0] for line in lines] == [f"wrote {folder}/{name}.safetensors" for name in ARCHS]
    source = "timm/test_vit.r160_in1k on the Hugging Face hub, licence apache-2.0"
    assert lines[1].endswith(f": ImageNet weights of tu-test_vit from {source}")
    for name in ARCHS:
        fetched, expected = encoder_weights(name, folder), encoder_weights(name, "imagenet")
        assert all(torch.equal(fetched[key], value) for key, value in expected.items())
    assert run(monkeypatch, "fetch", *ARCHS, "-o", folder) == 0
    assert all(line.startswith("kept ") for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ("resnet19", "unknown model.encoder 'resnet19'; did you mean 'resnet18'"),
        ("tu-coatnet_0_224", "encoder 'tu-coatnet_0_224' has no ImageNet weights"),
        ("tu-resnet18", "(timm/resnet18.a1_in1k) cannot be fetched: http://127.0.0.1:9 does not answer"),
    ],
)
def test_what_cannot_be_fetched_is_one_error_and_leaves_nothing(
    monkeypatch, capsys, tmp_path, silent_hub, encoder, message
):
    assert run(monkeypatch, "fetch", encoder, "-o", tmp_path / "weights") == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: ")
    assert message in output.err
    assert not (tmp_path / "weights").exists()


def test_an_unknown_encoder_is_refused_before_others_are_fetched(monkeypatch, capsys, tmp_path, silent_hub):
    assert run(monkeypatch, "fetch", "resnet18", "resnet19", "-o", tmp_path) == 2
    assert "unknown model.encoder 'resnet19'" in capsys.readouterr().err


def test_converted_weights_are_written_under_the_name_of_their_encoder(monkeypatch, capsys, tmp_path):
    weights = {"classifier.bias": torch.zeros(1000)}
    monkeypatch.setattr("segray.models.efficientnet_lite.convert", lambda *_: ("tu-tf_efficientnet_lite2", weights))
    package = tmp_path / "lite2.pth"
    torch.save({"_fc.bias": weights["classifier.bias"]}, package)
    assert run(monkeypatch, "convert", package, "-o", tmp_path / "weights") == 0
    written = tmp_path / "weights" / "tu-tf_efficientnet_lite2.safetensors"
    assert capsys.readouterr().out.startswith(f"wrote {written} (")
    assert load_file(written).keys() == weights.keys()
