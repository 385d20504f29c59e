import pickle
import shutil
from itertools import islice

import pytest
import safetensors.torch
import torch
from tiny_run import LABEL_SPACE, scenes, start, tiny_config, tiny_state

from segray.engine import checkpoint
from segray.engine.model_files import check_no_pickle
from segray.errors import StorageError
from segray.folder import open_folder
from segray.models.normalisation import IMAGENET, Normalisation

OTHER = Normalisation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture(params=[None, 0.9], ids=["weights", "average"])
def trained(request):
    """A run with an epoch still to go."""
    state = tiny_state(tiny_config(train__epochs=3, train__ema_decay=request.param))
    list(islice(start(state), 2))
    return state


@pytest.fixture
def folder(tmp_path):
    return open_folder(tmp_path / "2-1")


def test_a_loaded_model_gives_the_logits_of_the_kept_one(trained, folder):
    checkpoint.save(trained, folder)
    model, config, label_space = checkpoint.load_checkpoint(folder.path)
    photos, _ = scenes(3, seed=5)
    with torch.no_grad():
        assert torch.equal(model(photos), trained.kept_model.eval()(photos))
    assert not model.training
    assert config == trained.config
    assert label_space == LABEL_SPACE


def test_a_loaded_model_normalises_as_it_was_trained(trained, folder):
    trained.normalise_by(OTHER)
    checkpoint.save(trained, folder)
    model, _, _ = checkpoint.load_checkpoint(folder.path)
    photos, _ = scenes(3, seed=5)
    assert model.normalisation == OTHER
    with torch.no_grad():
        assert torch.equal(model(photos), trained.kept_model.eval()(photos))
        model.normalise_by(IMAGENET)
        assert not torch.equal(model(photos), trained.kept_model(photos))


def test_a_resumed_run_normalises_as_it_began(trained, folder):
    trained.normalise_by(OTHER)
    checkpoint.save(trained, folder)
    resumed = tiny_state(trained.config)
    checkpoint.restore(resumed, folder)
    assert resumed.network.normalisation == resumed.kept_model.normalisation == OTHER


def test_a_checkpoint_of_an_earlier_version_normalises_by_imagenet(trained, folder):
    checkpoint.save(trained, folder)
    folder.delete("preprocessing.json")
    resumed = tiny_state(trained.config)
    resumed.normalise_by(OTHER)
    checkpoint.restore(resumed, folder)
    assert resumed.network.normalisation == IMAGENET
    assert checkpoint.load_checkpoint(folder.path)[0].normalisation == IMAGENET


def test_saving_leaves_the_training_weights_alone(trained, folder):
    before = {name: value.clone() for name, value in trained.network.state_dict().items()}
    checkpoint.save(trained, folder)
    for name, value in trained.network.state_dict().items():
        assert torch.equal(value, before[name])
        assert value.stride() == before[name].stride()


def test_weights_are_kept_once_and_in_float32(trained, folder):
    checkpoint.save(trained, folder)
    weights = safetensors.torch.load(folder.read_bytes("model.safetensors"))
    assert {value.dtype for value in weights.values() if value.is_floating_point()} == {torch.float32}
    assert folder.names() == [
        "config.json",
        "label_space.json",
        "model.safetensors",
        "preprocessing.json",
        "training.pt",
    ]


def test_a_finished_run_keeps_no_training_state(folder):
    state = tiny_state(tiny_config(train__epochs=1))
    list(start(state))
    checkpoint.save(state, folder)
    assert folder.names() == ["config.json", "label_space.json", "model.safetensors", "preprocessing.json"]
    with pytest.raises(StorageError, match=r"training\.pt"):
        checkpoint.restore(tiny_state(tiny_config(train__epochs=1)), folder)


def test_a_model_is_loaded_without_its_pretrained_weights(trained, folder, monkeypatch):
    asked_for = []
    build = checkpoint.build_model

    def spy(config, num_classes, palette):
        asked_for.append(config.encoder_weights)
        return build(config, num_classes, palette)

    monkeypatch.setattr(checkpoint, "build_model", spy)
    trained.config = trained.config.with_values({"model.encoder_weights": "imagenet"})
    checkpoint.save(trained, folder)
    _, config, _ = checkpoint.load_checkpoint(folder)
    assert asked_for == ["none"]
    assert config.model.encoder_weights == "imagenet"


def test_a_model_that_paints_is_loaded_with_its_palette(folder):
    state = tiny_state(tiny_config(model__output="rgb"))
    checkpoint.save(state, folder)
    model, _, _ = checkpoint.load_checkpoint(folder)
    photos, _ = scenes(2, seed=5)
    with torch.no_grad():
        assert model(photos, raw=True).shape == (2, 3, 16, 24)
        assert torch.equal(model(photos), state.network.eval()(photos))


def test_a_copied_folder_is_enough(trained, folder, tmp_path):
    checkpoint.save(trained, folder)
    for name in ("model.safetensors", "config.json", "label_space.json"):
        (tmp_path / "copy").mkdir(exist_ok=True)
        shutil.copy(f"{folder.path}/{name}", tmp_path / "copy")
    model, _, _ = checkpoint.load_checkpoint(tmp_path / "copy")
    assert not model.training


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"no checkpoint at .*model\.safetensors"):
        checkpoint.load_checkpoint(tmp_path)


def test_weights_cut_short_are_refused(trained, folder):
    checkpoint.save(trained, folder)
    folder.write_bytes("model.safetensors", folder.read_bytes("model.safetensors")[:-10])
    with pytest.raises(StorageError, match=r"model\.safetensors' is damaged"):
        checkpoint.load_checkpoint(folder)


def test_weights_of_another_class_count_are_refused(trained, folder):
    checkpoint.save(trained, folder)
    space = folder.read_json("label_space.json")
    fewer = {**space, "names": space["names"][:2], "colors": space["colors"][:2], "raw_to_train": {"0": 0, "1": 1}}
    folder.write_json("label_space.json", fewer)
    with pytest.raises(
        StorageError, match=r"must fit the model of 2 classes .* but do not: size mismatch for .*; restore"
    ):
        checkpoint.load_checkpoint(folder)


def test_weights_of_another_architecture_are_refused(trained, folder):
    checkpoint.save(trained, folder)
    folder.write_json("config.json", trained.config.with_values({"model.name": "unet"}).model_dump(mode="json"))
    with pytest.raises(
        StorageError, match=r"must fit the model of 3 classes that config\.json .* describe.*[Mm]issing key"
    ):
        checkpoint.load_checkpoint(folder)


@pytest.mark.parametrize("name", ["training.pt", "model.safetensors"])
@pytest.mark.parametrize("num_bytes", [0, 50])
def test_resuming_from_a_file_cut_short_is_refused(name, num_bytes, trained, folder):
    checkpoint.save(trained, folder)
    folder.write_bytes(name, folder.read_bytes(name)[:num_bytes])
    with pytest.raises(StorageError, match="is damaged"):
        checkpoint.restore(tiny_state(trained.config), folder)


@pytest.mark.parametrize("content", [None, [1, 2]])
def test_resuming_from_a_training_state_that_is_none_is_refused(content, trained, folder):
    checkpoint.save(trained, folder)
    torch.save(content, f"{folder.path}/training.pt")
    with pytest.raises(StorageError, match="is damaged"):
        checkpoint.restore(tiny_state(trained.config), folder)


def test_resuming_another_network_is_refused(trained, folder):
    checkpoint.save(trained, folder)
    other = trained.config.with_values({"model.arch": "without_batchnorm"})
    with pytest.raises(StorageError, match="cannot resume"):
        checkpoint.restore(tiny_state(other), folder)


def test_weights_whose_first_byte_is_a_pickles_are_no_pickle(tmp_path):
    # The first bytes are the header's length, which the library fills up to a multiple of 8.
    for padding in range(0, 256, 8):
        content = safetensors.torch.save({"a": torch.zeros(1)}, {"note": "x" * padding})
        if content[0] == 0x80:
            break
    assert content[0] == 0x80
    folder = open_folder(tmp_path)
    check_no_pickle(folder, "model.safetensors", content)
    with pytest.raises(StorageError, match="is a pickle"):
        check_no_pickle(folder, "model.safetensors", pickle.dumps({"a": 1}))
