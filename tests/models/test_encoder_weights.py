"""Encoder weights from files, from the hub's cache, and from a hub that does not answer."""

import hashlib
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import timm
import torch
from hub_cache import cached
from huggingface_hub import constants
from safetensors.torch import save_file

from segray.config import ModelConfig
from segray.errors import ConfigError
from segray.models import build_model, encoder_weights, resolve_encoder_weights
from segray.models.encoder_weights import hub_failure, imagenet_file

REVISION = "3f2325ff978283d47aa6a1d6878ca20565622683"


def random_model(encoder: str, arch: str = "Unet", seed: int = 1):
    torch.manual_seed(seed)
    return build_model(ModelConfig(arch=arch, encoder=encoder, encoder_weights="none"), num_classes=2).network


def own_weights(encoder: str) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in random_model(encoder).encoder.state_dict().items()}


def config(path, encoder: str = "resnet18", arch: str = "Unet") -> ModelConfig:
    return ModelConfig(arch=arch, encoder=encoder, encoder_weights=str(path))


@pytest.mark.parametrize("encoder", ["resnet18", "tu-resnet18"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_state_dict_of_the_encoder_is_loaded(tmp_path, encoder, suffix):
    weights, path = own_weights(encoder), tmp_path / f"weights{suffix}"
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    assert resolve_encoder_weights(config(path, encoder))[0] == str(path)
    loaded = build_model(config(path, encoder), num_classes=3).network.encoder.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in weights.items())


@pytest.mark.parametrize(
    ("name", "arch", "key", "its_key"),
    [
        ("resnet18", "Unet", "layer4.1.conv2.weight", "model.layer4.1.conv2.weight"),
        ("mobilenetv4_conv_small", "FPN", "conv_stem.weight", "model.conv_stem.weight"),
        ("convnext_atto", "Unet", "stages.3.blocks.0.mlp.fc1.weight", "model.stages_3.blocks.0.mlp.fc1.weight"),
        ("test_vit", "DPT", "blocks.0.attn.qkv.weight", "model.blocks.0.attn.qkv.weight"),
    ],
)
def test_state_dict_of_a_whole_timm_model_is_loaded(tmp_path, name, arch, key, its_key):
    model = timm.create_model(name)
    torch.save(model.state_dict(), tmp_path / "timm.pth")
    loaded = build_model(config(tmp_path / "timm.pth", f"tu-{name}", arch), num_classes=3).network.encoder.state_dict()
    assert torch.equal(loaded[its_key], model.state_dict()[key])


@pytest.mark.parametrize(
    ("encoder", "donor"), [("resnet18", "resnet34"), ("resnet34", "resnet18"), ("tu-resnet18", "tu-resnet34")]
)
def test_weights_of_another_encoder_are_refused_by_name_and_first_keys(tmp_path, encoder, donor):
    save_file(own_weights(donor), tmp_path / "other.safetensors")
    with pytest.raises(
        ConfigError, match=rf"other\.safetensors' does not fit encoder '{encoder}'.*layer1\.2"
    ) as caught:
        resolve_encoder_weights(config(tmp_path / "other.safetensors", encoder))
    assert len(str(caught.value)) < 800


def test_weights_of_other_shapes_are_refused(tmp_path):
    weights = own_weights("resnet18")
    weights["conv1.weight"] = torch.zeros(64, 3, 3, 3)
    save_file(weights, tmp_path / "other.safetensors")
    with pytest.raises(ConfigError, match=r"size mismatch for conv1\.weight"):
        resolve_encoder_weights(config(tmp_path / "other.safetensors"))


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_file_of_something_else_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"no weights here")
    with pytest.raises(ConfigError, match=name):
        resolve_encoder_weights(config(tmp_path / name))


@pytest.mark.parametrize("content", [{"epoch": 3}, {3: torch.zeros(1)}])
def test_file_without_a_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match="must hold a state dict"):
        resolve_encoder_weights(config(tmp_path / "weights.pth"))


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no file .*missing\.pth"):
        resolve_encoder_weights(config(tmp_path / "missing.pth"))


def test_none_needs_nothing(silent_hub):
    value, line = resolve_encoder_weights(ModelConfig(encoder_weights="none"))
    assert value == "none"
    assert line == "encoder weights: none, resnet18 starts from scratch"


def test_auto_is_none_within_seconds_and_in_silence_where_the_hub_does_not_answer(silent_hub, caplog, capfd):
    started = time.perf_counter()
    with caplog.at_level(logging.WARNING):
        value, line = resolve_encoder_weights(ModelConfig(encoder_weights="auto"))
    assert value == "none"
    assert line.startswith("encoder weights: none, resnet18 starts from scratch (ImageNet weights of 'resnet18'")
    assert time.perf_counter() - started < 6
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_a_hub_that_hangs_is_given_up(cache, monkeypatch):
    monkeypatch.setattr(encoder_weights, "_ANSWER_SECONDS", 0.1)
    monkeypatch.setattr("huggingface_hub.get_session", lambda: time.sleep(1))
    assert hub_failure("http://hangs") == "http://hangs does not answer in 0.1 s"


def test_imagenet_asked_for_outright_is_refused_where_it_cannot_be_fetched(silent_hub):
    with pytest.raises(
        ConfigError, match=r"ImageNet weights of 'tu-resnet18' \(timm/resnet18.a1_in1k\) cannot be fetched"
    ):
        resolve_encoder_weights(ModelConfig(encoder="tu-resnet18", encoder_weights="imagenet"))


@pytest.mark.parametrize("encoder", ["resnext101_32x48d", "tu-coatnet_0_224"])
def test_encoder_without_imagenet_weights_starts_from_scratch(silent_hub, encoder):
    value, line = resolve_encoder_weights(ModelConfig(encoder=encoder))
    assert value == "none"
    assert "has no ImageNet weights" in line


def test_cached_copy_needs_no_hub(silent_hub, cache):
    weights = own_weights("resnet18")
    save_file(weights, cached(cache, "smp-hub/resnet18.imagenet", REVISION))
    assert resolve_encoder_weights(ModelConfig())[0] == "imagenet"
    loaded = build_model(ModelConfig(encoder_weights="auto"), num_classes=3).network.encoder.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in weights.items())


@pytest.mark.parametrize(("name", "arch"), [("test_efficientnet", "Unet"), ("test_vit", "DPT")])
def test_cached_copy_of_timm_needs_no_hub(silent_hub, cache, caplog, name, arch):
    model = timm.create_model(name)
    repository = timm.get_pretrained_cfg(name).hf_hub_id
    save_file(model.state_dict(), cached(cache, repository, "a" * 40))
    loaded = build_model(
        ModelConfig(arch=arch, encoder=f"tu-{name}", encoder_weights="imagenet"), num_classes=3
    ).network.encoder.state_dict()
    first = next(iter(model.state_dict()))
    assert torch.equal(loaded[f"model.{first}"], model.state_dict()[first])
    assert caplog.records == []


def test_damaged_cached_copy_is_an_error(silent_hub, cache):
    cached(cache, "smp-hub/resnet18.imagenet", REVISION).write_bytes(b"half a file")
    with pytest.raises(ConfigError, match="cannot read encoder weights"):
        build_model(ModelConfig(encoder_weights="imagenet"), num_classes=3)


@pytest.fixture
def local_hub(cache, monkeypatch, tmp_path):
    """Run a hub on this machine that serves one weights file under every name."""
    save_file(own_weights("resnet18"), tmp_path / "served.safetensors")
    content = (tmp_path / "served.safetensors").read_bytes()

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", hashlib.sha256(content).hexdigest())
            self.send_header("X-Repo-Commit", REVISION)
            self.end_headers()

        def do_GET(self):
            self.do_HEAD()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    yield tmp_path / "served.safetensors"
    server.shutdown()
    server.server_close()


class ClientError(Exception):
    """An error like those of the hub library's HTTP client: not an OSError, and possibly without a message."""


def test_a_fetch_that_breaks_off_is_none_for_auto_and_an_error_for_imagenet(local_hub, monkeypatch):
    def broken(*args, **kwargs):
        raise ClientError

    monkeypatch.setattr("huggingface_hub.hf_hub_download", broken)
    value, line = resolve_encoder_weights(ModelConfig(encoder_weights="auto"))
    assert value == "none"
    assert "(ImageNet weights of 'resnet18' (smp-hub/resnet18.imagenet) cannot be fetched: ClientError; " in line
    with pytest.raises(ConfigError, match="cannot be fetched: ClientError"):
        resolve_encoder_weights(ModelConfig(encoder_weights="imagenet"))


def test_auto_fetches_from_a_hub_that_answers(local_hub):
    value, line = resolve_encoder_weights(ModelConfig(encoder_weights="auto"))
    assert (value, line) == ("imagenet", "encoder weights: ImageNet for resnet18")
    assert imagenet_file("resnet18").read_bytes() == local_hub.read_bytes()
