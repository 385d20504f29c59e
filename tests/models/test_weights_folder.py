"""A folder of encoder weights: which file serves which encoder, what is missing, and what is written."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from segray.config import ModelConfig
from segray.errors import ConfigError, StorageError
from segray.models import build_model, resolve_encoder_weights
from segray.models.encoder_weights import encoder_file
from segray.models.normalisation import Normalisation
from segray.models.weights_folder import output_folder, weights_files, write_weights

LITE = "tu-tf_efficientnet_lite0"
WEIGHTS = {"a": torch.arange(3.0), "b": torch.tensor(7)}


@pytest.mark.parametrize(
    ("encoder", "name", "serves"),
    [
        (LITE, "tu-tf_efficientnet_lite0.safetensors", True),
        (LITE, "tf_efficientnet_lite0.pth", True),
        ("tu-resnet18.a1_in1k", "resnet18.a1_in1k.pt", True),
        ("resnet18", "resnet18.safetensors", True),
        # SMP has a resnet18 of its own, whose weights these may be.
        ("tu-resnet18", "resnet18.safetensors", False),
        ("resnet18", "tu-resnet18.safetensors", False),
        (LITE, "tf_efficientnet_lite0.onnx", False),
    ],
)
def test_a_file_serves_the_encoder_that_it_is_named_after(tmp_path, encoder, name, serves):
    (tmp_path / name).touch()
    if serves:
        assert encoder_file(encoder, str(tmp_path)) == tmp_path / name
    else:
        with pytest.raises(ConfigError, match=f"none for {encoder};"):
            encoder_file(encoder, str(tmp_path))


def test_all_missing_files_are_named_with_those_that_are_there_and_the_fix(tmp_path):
    (tmp_path / "resnet18.pth").touch()
    with pytest.raises(ConfigError) as caught:
        weights_files(tmp_path, ["resnet34", "resnet18", LITE])
    assert f"none for resnet34, {LITE}; it holds resnet18.pth; " in str(caught.value)
    assert f"segray weights fetch resnet34 {LITE} -o {tmp_path}" in str(caught.value)


def test_two_files_for_one_encoder_are_refused(tmp_path):
    for name in (f"{LITE}.pth", "tf_efficientnet_lite0.safetensors"):
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=r"one file for encoder .* but holds tf_efficientnet_lite0\.safetensors, tu-"):
        weights_files(tmp_path, [LITE])


@pytest.fixture
def folder_of_two(tmp_path):
    """A folder with the weights of two encoders."""
    for encoder in ("tu-test_resnet", "tu-test_efficientnet"):
        torch.manual_seed(1)
        weights = build_model(ModelConfig(encoder=encoder, encoder_weights="none"), 2).network.encoder.state_dict()
        write_weights(tmp_path, encoder, weights)
    return tmp_path


def test_each_encoder_loads_its_own_file_and_follows_its_normalisation(folder_of_two):
    halves = Normalisation(mean=(0.5,) * 3, std=(0.5,) * 3)
    for encoder, is_half in (("tu-test_resnet", True), ("tu-test_efficientnet", False)):
        config = ModelConfig(encoder=encoder, encoder_weights=str(folder_of_two))
        folder = str(folder_of_two)
        assert resolve_encoder_weights(config) == (folder, f"encoder weights: {folder} for {encoder}")
        model = build_model(config, num_classes=3)
        written = load_file(folder_of_two / f"{encoder}.safetensors")
        loaded = model.network.encoder.state_dict()
        assert all(torch.equal(loaded[key], value) for key, value in written.items())
        assert (model.normalisation == halves) == is_half


def test_a_file_that_does_not_fit_its_name_is_refused(folder_of_two):
    (folder_of_two / "tu-test_resnet.safetensors").replace(folder_of_two / "tu-test_efficientnet.safetensors")
    with pytest.raises(ConfigError, match=r"efficientnet\.safetensors' does not fit encoder 'tu-test_efficientnet'"):
        resolve_encoder_weights(ModelConfig(encoder="tu-test_efficientnet", encoder_weights=str(folder_of_two)))


def test_the_same_weights_stay_and_others_are_replaced_only_when_asked(tmp_path):
    path, is_new = write_weights(tmp_path, LITE, WEIGHTS)
    assert (path, is_new) == (tmp_path / f"{LITE}.safetensors", True)
    assert write_weights(tmp_path, LITE, WEIGHTS) == (path, False)
    others = WEIGHTS | {"a": torch.zeros(3)}
    with pytest.raises(StorageError, match=r"holds other weights for encoder .*; --overwrite replaces it"):
        write_weights(tmp_path, LITE, others)
    assert torch.equal(load_file(path)["a"], WEIGHTS["a"])
    write_weights(tmp_path, LITE, others, overwrite=True)
    assert torch.equal(load_file(path)["a"], others["a"])
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_layers_that_share_their_weights_are_written_twice(tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    path, _ = write_weights(tmp_path, LITE, {"a": shared, "b": shared, "c": shared.T})
    assert torch.equal(load_file(path)["b"], shared)
    assert torch.equal(load_file(path)["c"], shared.T)


def test_a_damaged_file_counts_as_other_weights(tmp_path):
    (tmp_path / f"{LITE}.safetensors").write_bytes(b"half a file")
    with pytest.raises(StorageError, match="holds other weights"):
        write_weights(tmp_path, LITE, WEIGHTS)
    assert write_weights(tmp_path, LITE, WEIGHTS, overwrite=True)[1]


def test_a_file_of_another_name_for_the_encoder_is_kept_or_refused(tmp_path):
    short = tmp_path / "tf_efficientnet_lite0.safetensors"
    save_file(WEIGHTS, short)
    assert write_weights(tmp_path, LITE, WEIGHTS) == (short, False)
    with pytest.raises(StorageError, match=r"lite0\.safetensors' holds other weights for encoder .*; remove it"):
        write_weights(tmp_path, LITE, {"a": torch.zeros(3)}, overwrite=True)


def test_an_input_is_never_written_over(tmp_path):
    file = tmp_path / f"{LITE}.safetensors"
    save_file(WEIGHTS, file)
    with pytest.raises(StorageError, match="it is the input"):
        write_weights(tmp_path, LITE, {"a": torch.zeros(3)}, inputs=[file], overwrite=True)


def test_a_folder_is_made_but_not_in_a_sweep_or_on_a_bucket(tmp_path):
    folder = output_folder(str(tmp_path / "a" / "b"))
    assert not folder.exists(), "weights may turn out not to be fetchable"
    assert write_weights(folder, LITE, WEIGHTS)[0].is_file()
    with pytest.raises(ConfigError, match="must be a folder on this machine, but is 's3://bucket/weights'"):
        output_folder("s3://bucket/weights")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot make the folder"):
        write_weights(tmp_path / "file", LITE, WEIGHTS)
    (tmp_path / "sweep.json").touch()
    with pytest.raises(StorageError, match="files of the sweep"):
        output_folder(str(tmp_path))
