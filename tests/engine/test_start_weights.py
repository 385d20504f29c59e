"""The start of a run from a whole trained model."""

import pytest
import torch
from test_trial import Reporter, train
from tiny_models import sweep_with_models
from tiny_run import CPU, LABEL_SPACE

from segray.config import RunConfig
from segray.engine import checkpoint
from segray.engine.checkpoint import load_checkpoint
from segray.engine.start_weights import NUM_NAMED, fitting_weights, other_classes, start_from_weights
from segray.engine.state import build_state
from segray.errors import ConfigError, DamagedError, StorageError
from segray.folder import open_folder
from segray.inference.export.model_folder import write_model_folder
from segray.inference.location import find_model
from segray.labels import LabelSpace
from segray.models.normalisation import Normalisation
from segray.storage import open_sweep
from segray.trial_log import TrialLog

OTHER_SPACE = LabelSpace(names=("a", "b"), colors=((0, 0, 0), (200, 0, 0)), raw_to_train={0: 0, 1: 1})
HALF = Normalisation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def state_of(label_space=LABEL_SPACE, **values):
    values = {"model.encoder": "tu-test_resnet", "model.encoder_weights": "none", **values}
    return build_state(RunConfig().with_values(values), label_space, 1, CPU)


@pytest.fixture
def trained(tmp_path):
    """Save a model whose photos are normalised in another way."""
    state = state_of(seed=1)
    state.normalise_by(HALF)
    checkpoint.save(state, open_folder(tmp_path / "trained"))
    return str(tmp_path / "trained"), state


def test_all_layers_and_the_normalisation_are_those_of_the_trained_model(trained, tmp_path):
    location, source = trained
    state = state_of(seed=2, **{"model.weights": location, "train.ema_decay": 0.9})
    start_from_weights(state, TrialLog(open_folder(tmp_path)))
    for model in (state.network, state.kept_model):
        assert model.normalisation == HALF
        for name, tensor in source.network.state_dict().items():
            torch.testing.assert_close(model.state_dict()[name], tensor, rtol=0, atol=0)
    said = (tmp_path / "log.txt").read_text()
    assert f"weights from {location}: all " in said


def test_a_head_of_other_classes_stays_as_initialised_and_is_named(trained, tmp_path):
    location, _ = trained
    state, fresh = state_of(OTHER_SPACE, seed=2, **{"model.weights": location}), state_of(OTHER_SPACE, seed=2)
    start_from_weights(state, TrialLog(open_folder(tmp_path)))
    changed = {
        name
        for name, tensor in state.network.state_dict().items()
        if not torch.equal(tensor, fresh.network.state_dict()[name])
    }
    assert changed
    assert not any("segmentation_head" in name for name in changed)
    fitting = fitting_weights(location, fresh.network.state_dict())
    [named] = fitting.as_initialised
    assert named.startswith("network.segmentation_head.0 (shape [2, ")
    assert ", trained: [3, " in named
    assert fitting.line.endswith(f"these stay as initialised: {named}")
    assert other_classes(location, OTHER_SPACE).endswith("trained on other classes: dark, red, green")
    assert other_classes(location, LABEL_SPACE) == ""


def test_a_line_names_a_few_of_many_layers(trained):
    fitting = fitting_weights(trained[0], state_of(**{"model.arch": "FPN"}).network.state_dict())
    assert len(fitting.as_initialised) > NUM_NAMED
    assert fitting.line.endswith(f" and {len(fitting.as_initialised) - NUM_NAMED} more")


def test_a_model_of_another_family_is_refused(trained):
    other = state_of(**{"model.name": "unet", "model.unet.width_multiplier": 0.1})
    with pytest.raises(ConfigError, match=r"at least one layer .* none of the \d+ layers fits .*/trained'"):
        fitting_weights(trained[0], other.network.state_dict())


def test_a_place_without_a_model_is_refused(tmp_path):
    with pytest.raises(DamagedError, match=r"model\.safetensors"):
        fitting_weights(str(tmp_path), state_of().network.state_dict())


def test_a_resumed_trial_goes_on_from_its_own_checkpoint_even_without_the_first_model(trained, scenes_config, tmp_path):
    config = scenes_config.with_values({"train.epochs": 2, "model.weights": trained[0]})
    whole = open_sweep(tmp_path / "sweep").trial("0000")
    train(config, whole)
    assert b"these stay as initialised: network.segmentation_head.0" in whole.folder.read_bytes("log.txt")
    cut = open_sweep(tmp_path / "sweep").trial("0001")
    train(config, cut, Reporter(stop_after=1))
    open_folder(trained[0]).delete("model.safetensors")
    train(config, cut)
    models = [checkpoint.read_weights(trial.folder.child(trial.pointer("last").checkpoint)) for trial in (whole, cut)]
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


def test_a_model_folder_with_a_foreign_file_gives_no_weights(tmp_path):
    files = sweep_with_models(tmp_path, LABEL_SPACE)
    found = find_model(files.folder.path)
    write_model_folder(tmp_path / "model", *load_checkpoint(found.folder), found)
    (tmp_path / "model/preprocessing.json").unlink()
    with pytest.raises(StorageError, match=r"preprocessing\.json is missing"):
        fitting_weights(str(tmp_path / "model"), state_of().network.state_dict())
