"""Soups: the mean of trials' weights, with the gain over the best trial."""

import re
import shutil
import sys

import pytest
import torch
from tiny_trials import sweep_of, tiny_config

from segray.cli import main
from segray.config import RunConfig
from segray.engine.checkpoint import load_checkpoint
from segray.errors import ConfigError, StorageError
from segray.folder import open_folder
from segray.inference import soup as soup_module
from segray.inference.export.model_folder import write_model_folder
from segray.inference.location import find_model
from segray.inference.predictor import load_model
from segray.inference.scorer import open_scorer
from segray.inference.soup import MeanWeights, make_soup, parse_method, soup_members
from segray.inference.sweep_scores import Evaluation, evaluate_model
from segray.storage import open_sweep


@pytest.fixture(scope="module")
def fine_tuned(tmp_path_factory):
    """Train a model, then a sweep of three trials that start from it, and a fourth of another network."""
    root = tmp_path_factory.mktemp("soup")
    config = tiny_config(root)
    first = sweep_of(root / "runs", "first", config, {"0000": {"train.epochs": 3}})
    trial, pointer = first.best()
    start = {"model.weights": trial.folder.child(pointer.checkpoint).path, "train.epochs": 1, "optim.lr": 1e-3}
    trials = {f"000{seed}": {"seed": seed} for seed in range(3)}
    return sweep_of(
        root / "runs", "fine", config.with_values(start), trials | {"0003": {"model.arch": "FPN", "optim.lr": 1e-8}}
    )


@pytest.fixture
def run(fine_tuned, tmp_path):
    shutil.copytree(fine_tuned.folder.path, tmp_path / "fine")
    return open_sweep(tmp_path / "fine")


def cook(run, to, method="greedy", k=None):
    members, others = soup_members(run.folder, k)
    config = load_checkpoint(members[0].folder)[1]
    scorer = open_scorer(run, config, device="cpu", announce=lambda _: None)
    return make_soup(members, others, method, scorer, open_folder(to), announce=lambda _: None)


def mean_weights(states):
    first, *others = states
    found = MeanWeights(first)
    for state in others:
        found.add(state)
    return found.mean()


def test_the_mean_of_weights_leaves_counters_alone():
    first = {"weight": torch.tensor([1.0, 2.0]), "num_batches_tracked": torch.tensor(3)}
    second = {"weight": torch.tensor([2.0, 6.0]), "num_batches_tracked": torch.tensor(8)}
    mean = mean_weights([first, second])
    assert MeanWeights(first).mean(second)["weight"].tolist() == [1.5, 4.0]
    assert mean["weight"].tolist() == [1.5, 4.0]
    assert mean["weight"].dtype == torch.float32
    assert mean["num_batches_tracked"].item() == 3


def export_card(folder, target):
    location = find_model(folder)
    write_model_folder(target, *load_checkpoint(location.folder), location)
    return (target / "README.md").read_text()


def test_a_soup_that_cannot_be_written_leaves_nothing(run, tmp_path, monkeypatch):
    monkeypatch.setattr(soup_module, "SOUP_FILE", "no/such\0file")
    with pytest.raises((StorageError, ValueError)):
        cook(run, tmp_path / "soup", "uniform")
    assert not (tmp_path / "soup").exists()


def test_trials_of_the_best_ones_network_are_offered_the_best_first(run):
    members, others = soup_members(run.folder, None)
    ranked = [trial.id for trial, _ in run.ranked()]
    assert [location.trial.id for location in members] == [trial for trial in ranked if trial != "0003"]
    assert others == ["0003"]
    assert len(soup_members(run.folder, 2)[0]) == 2


def test_a_uniform_soup_is_the_mean_of_all_and_loads_like_any_model(run, tmp_path):
    members, _ = soup_members(run.folder, None)
    found = cook(run, tmp_path / "mean", "uniform")
    assert found.num_in == 3
    states = [load_checkpoint(location.folder)[0].state_dict() for location in members]
    model = load_model(tmp_path / "mean", device="cpu")
    for name, tensor in model.models[0].state_dict().items():
        torch.testing.assert_close(tensor, mean_weights(states)[name])
    assert model.config == load_checkpoint(members[0].folder)[1]
    card = export_card(tmp_path / "mean", tmp_path / "exported")
    assert f"the mean of the weights of trials {', '.join(location.trial.id for location in members)}" in card
    content = open_folder(tmp_path / "mean").read_json("soup.json")
    assert content["trials"] == [location.trial.id for location in members]
    assert content["val"] == {"best_trial": found.best_val, "soup": found.val}


def test_scores_are_those_of_segray_evaluate(run, tmp_path):
    found = cook(run, tmp_path / "mean", "uniform")
    best = found.ingredients[0].trial
    assert found.best_val == run.trial(best).pointer("best").record.scores["val_miou"]
    assert found.best_test == evaluate_model(load_model(run.folder.path, trial=best), Evaluation())[0].miou


@pytest.mark.parametrize("scores", [[0.5, 0.6, 0.4], [0.5, 0.4, 0.5], [0.5, 0.3, 0.2]])
def test_a_greedy_soup_keeps_what_does_not_lower_the_score(run, tmp_path, monkeypatch, scores):
    left = iter(scores)
    monkeypatch.setattr(soup_module.Scorer, "val", lambda *_: next(left))
    found = cook(run, tmp_path / "soup")
    kept, best = [], 0.0
    for ingredient, score in zip(found.ingredients, scores, strict=True):
        kept.append(score >= best)
        best = max(best, score) if kept[-1] else best
        assert (ingredient.is_in, ingredient.tried) == (kept[-1], score)
    assert found.val == best
    members, _ = soup_members(run.folder, None)
    states = [load_checkpoint(location.folder)[0].state_dict() for location in members]
    mean = mean_weights([state for state, is_in in zip(states, kept, strict=True) if is_in])
    saved = load_checkpoint(tmp_path / "soup")[0].state_dict()
    assert all(torch.equal(saved[name], mean[name]) for name in mean)


def test_the_command_prints_trials_gain_and_folder(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["segray", "soup", run.folder.path, "--to", str(tmp_path / "soup"), "--top", "2"])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert ended.value.code == 0, printed.err
    lines = printed.out.replace("\u00a0", " ").splitlines()
    assert lines[0].split() == ["trial", "val", "mIoU", "soup", "with", "it", "in", "the", "soup"]
    assert [line.split()[0] for line in lines[1:3]] == [m.trial.id for m in soup_members(run.folder, 2)[0]]
    assert re.match(r"val mIoU of the soup [\d.]+ %, of trial \d{4} [\d.]+ %, [+−][\d.]+ points", lines[3])
    assert lines[4].startswith("test mIoU of the soup ")
    assert lines[-1] == f"wrote {tmp_path / 'soup'}"
    assert load_model(tmp_path / "soup").names


def test_what_cannot_be_averaged_is_refused(run, tmp_path):
    with pytest.raises(ConfigError, match=r"--top must be at least 2, .* but got 1"):
        soup_members(run.folder, 1)
    with pytest.raises(ConfigError, match=r"--top asks for 4 trials, but only 3 have the network of trial"):
        soup_members(run.folder, 4)
    with pytest.raises(ConfigError, match="--method must be greedy or uniform, but got 'mean'"):
        parse_method("mean")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(StorageError, match="has files already; choose another folder in --to"):
        cook(run, tmp_path / "full")
    for location in soup_members(run.folder, None)[0][1:]:
        config = location.folder.read_json("config.json")
        config["model"]["unet"]["batch_norm"] = True
        location.folder.write_json("config.json", config)
        break
    assert len(soup_members(run.folder, None)[0]) == 2
    files = open_sweep(tmp_path / "fine")
    for trial, pointer in files.ranked()[1:]:
        trial.folder.child(pointer.checkpoint).write_json("config.json", RunConfig().model_dump(mode="json"))
    with pytest.raises(ConfigError, match="a soup needs two trials with one network"):
        soup_members(files.folder, None)


def test_trials_that_normalise_photos_in_other_ways_are_refused(run, tmp_path):
    folder = soup_members(run.folder, None)[0][1].folder
    folder.write_json("preprocessing.json", {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]})
    with pytest.raises(ConfigError, match="must have the same normalisation of photos"):
        cook(run, tmp_path / "soup")
