"""The evaluation of models, by hand and at a sweep's end, on images that chose no trial."""

import contextlib
import io
import re
import shutil

import fake_sweep
import pytest
import torch
from PIL import Image
from tiny_trials import tiny_config

from segray import text
from segray.cli.scores_table import print_scores
from segray.data.preparation import prepare
from segray.data.splits.split_record import record_splits
from segray.data.synthetic import NEEDED_VALUES, write_scenes
from segray.engine.trial import train_trial
from segray.errors import ConfigError, DataError, StorageError
from segray.inference import evaluate, robustness, sweep_scores
from segray.inference.corruptions import CORRUPTIONS
from segray.inference.predictor import load_model
from segray.inference.sweep_scores import Evaluation, evaluate_model, judge_best
from segray.records import Outcome
from segray.storage import open_sweep
from segray.trial_log import TrialLog

TRIALS = {
    "0000": {"seed": 3},
    "0001": {"train.ema_decay": 0.9, "train.channels_last": False},
    "0000-seed4-epochs3": {"seed": 4},
}


def evaluate_sweep(location, *, trial_id=None, announce=print, **asked):
    return evaluate_model(load_model(location, trial=trial_id), Evaluation(**asked), announce)


def printed(found):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        print_scores(found)
    return out.getvalue()


class Reporter:
    def hand_over(self, record, final):
        return True

    def interrupted(self):
        return False


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return tiny_config(tmp_path_factory.mktemp("data"), **{"train.epochs": 3})


@pytest.fixture(scope="module")
def trained(config, tmp_path_factory):
    """Train a sweep of two trials."""
    sweep = fake_sweep.empty_sweep(tmp_path_factory.mktemp("runs"), base=config.flat())
    sweep.files.write_splits(record_splits(config.data))
    for trial_id, values in TRIALS.items():
        trial = sweep.files.trial(trial_id)
        train_trial(config.with_values(values), trial, Reporter(), log=TrialLog(None))
    return sweep.files


@pytest.fixture
def files(trained, tmp_path):
    """Copy the trained sweep, so that a test may change it."""
    shutil.copytree(trained.folder.path, tmp_path / "camvid")
    return open_sweep(tmp_path / "camvid")


def test_a_trial_that_is_named_needs_no_best_one_beside_it(files):
    for trial in files.trials():
        trial.finish(Outcome(status="diverged"))
    found, is_kept = evaluate_sweep(files.folder.path, trial_id="0000")
    assert (found.trial, found.split, is_kept) == ("0000", "test", False)


def test_every_epoch_of_every_trial_has_the_mean_over_the_classes_of_the_validation_labels(files, config):
    data = prepare(config.data)
    assert 0 < len(data.val_classes) < len(data.scored_space.names)
    for trial in files.trials():
        for record in trial.records():
            by_class = {name: record.scores[f"val_iou/{name}"] for name in data.scored_space.names}
            held = {name: iou for name, iou in by_class.items() if iou is not None}
            assert tuple(held) == data.val_classes
            assert record.scores["val_miou"] == pytest.approx(sum(held.values()) / len(held))


@pytest.mark.parametrize("trial_id", TRIALS)
def test_val_repeats_the_recorded_figure_to_the_last_digit(files, trial_id):
    recorded = files.trial(trial_id).pointer("best").record
    found, is_kept = evaluate_sweep(files.folder.path, split="val", trial_id=trial_id)
    assert (found.miou, found.iou) == (recorded.scores["val_miou"], recorded.class_iou(found.classes))
    assert (found.pixel_accuracy, found.mean_class_accuracy) == (
        recorded.scores["val_pixel_accuracy"],
        recorded.scores["val_mean_class_accuracy"],
    )
    assert found.num_images == 3
    assert not is_kept
    assert files.test_scores() is None


def test_where_labels_were_resized_the_recorded_figure_stays_beside_that_of_their_own_size(config, tmp_path):
    config = config.with_values({"data.resize_px": [32, 48], "train.epochs": 1})
    files = fake_sweep.empty_sweep(tmp_path, "resized", base=config.flat()).files
    files.write_splits(record_splits(config.data))
    train_trial(config, files.trial("0000"), Reporter(), log=TrialLog(None))
    recorded = files.trial("0000").pointer("best").record.scores["val_miou"]
    found, _ = evaluate_sweep(files.folder.path, split="val")
    assert (found.miou_at_training_size, found.training_px) == (recorded, (32, 48))
    assert found.miou != recorded
    lines = printed(found).splitlines()
    assert any(line.startswith(f"val mIoU {text.percent(found.miou)} at the labels' own size") for line in lines)
    assert any(line.startswith(f"val mIoU {text.percent(recorded)} on labels resized to 32×48") for line in lines)


def test_a_figure_that_an_earlier_version_recorded_over_more_classes_is_explained(files):
    trial = files.trial("0000")
    pointer = trial.pointer("best")
    scores = {name: score or 0.0 for name, score in pointer.record.scores.items()}
    older = pointer.record.model_copy(update={"scores": scores})
    trial.write_pointer("best", pointer.model_copy(update={"record": older}))
    said = []
    found, _ = evaluate_sweep(files.folder.path, split="val", trial_id="0000", announce=said.append)
    assert found.num_in_mean < 19
    (line,) = said
    assert line.startswith(
        "the recorded val mIoU is the mean over all 19 classes, because an earlier version of segray "
    )


def test_test_images_that_are_all_void_give_no_figure(config, tmp_path):
    write_scenes("folder", tmp_path / "own", train=4, val=2, test=2, size_px=(64, 64))
    for path in (tmp_path / "own").glob("labels/test/*"):
        with Image.open(path) as label:
            void = label.point(lambda _: 255)
        void.save(path)
    values = {**NEEDED_VALUES["folder"], "data.dataset": "folder", "data.root": str(tmp_path / "own")}
    config = config.with_values({**values, "data.holdout": 0.0, "train.epochs": 1})
    files = fake_sweep.empty_sweep(tmp_path, "void").files
    train_trial(config, files.trial("0000"), Reporter(), log=TrialLog(None))
    with pytest.raises(DataError, match="those of all 2 images are void"):
        evaluate_sweep(files.folder.path)


def test_the_best_trials_test_scores_are_kept_and_another_trials_are_not(files):
    best, _ = files.best()
    other = next(trial_id for trial_id in TRIALS if trial_id != best.id)
    assert evaluate_sweep(files.folder.path, trial_id=other)[0].trial == other
    assert files.test_scores() is None
    found, is_kept = evaluate_sweep(files.folder.path)
    assert is_kept
    assert files.test_scores() == found
    assert (found.trial, found.split, found.num_images) == (best.id, "test", 3)
    assert found.miou != found.recorded_val_miou


def test_another_way_of_predicting_or_another_data_set_leaves_the_kept_scores(files, config):
    for model, asked in (
        (load_model(files.folder, tta="flip"), {}),
        (load_model(files.folder), {"dataset": "cityscapes", "root": config.data.root, "split": "val"}),
    ):
        assert not evaluate_model(model, Evaluation(**asked))[1]
    assert files.test_scores() is None


def test_corruptions_that_were_judged_stay_when_the_same_checkpoint_is_judged_again(files, monkeypatch):
    monkeypatch.setattr(robustness, "CORRUPTIONS", {"fog": CORRUPTIONS["fog"]})
    first, is_kept = evaluate_sweep(files.folder.path, corruptions=True)
    again, _ = evaluate_sweep(files.folder.path)
    assert is_kept
    assert files.test_scores() == again
    assert again.corruptions == first.corruptions


def test_a_checkpoint_and_a_trial_folder_can_be_evaluated_too(files, config):
    best, pointer = files.best()
    expected, _ = evaluate_sweep(files.folder.path)
    for folder in (best.folder, best.folder.child(pointer.checkpoint)):
        assert evaluate_sweep(folder)[0].iou == expected.iou
    # Without the sweep around it, the splits are those of the config.
    shutil.copytree(best.folder.child(pointer.checkpoint).path, f"{files.folder.path}-model")
    found, is_kept = evaluate_sweep(f"{files.folder.path}-model")
    assert (found.iou, found.trial, is_kept) == (expected.iou, "", False)


def test_the_test_images_are_those_that_no_trial_saw(files, config):
    data = prepare(config.data)
    assert set(files.splits().test) == set(data.test.names)
    assert not set(data.test.names) & {*data.train.names, *data.val.names}


def judged(files):
    said = []
    judge_best(files, "runs/camvid", said.append)
    return said


def test_a_sweep_is_judged_once_for_each_best_trial(files):
    assert judged(files)[0].endswith("on the 3 test images, which chose no trial")
    first = files.test_scores()
    assert judged(files) == []
    pointer = files.trial(first.trial).pointer("best")
    worse = pointer.record.model_copy(update={"scores": pointer.record.scores | {"val_miou": 0.0}})
    files.trial(first.trial).write_pointer("best", pointer.model_copy(update={"record": worse}))
    assert len(judged(files)) == 1
    assert files.test_scores().trial != first.trial


def test_a_sweep_without_test_images_or_without_a_model_is_not_judged(files, tmp_path):
    splits = files.splits()
    files.write_splits(splits.model_copy(update={"test": {}}))
    assert judged(files) == []
    empty = fake_sweep.empty_sweep(tmp_path, "empty").files
    empty.write_splits(splits)
    assert judged(empty) == []


def test_where_the_data_cannot_be_read_it_says_what_to_run(files, config):
    best, pointer = files.best()
    checkpoint = best.folder.child(pointer.checkpoint)
    checkpoint.write_json("config.json", config.with_values({"data.root": "/nowhere"}).model_dump(mode="json"))
    said = judged(files)
    assert "/nowhere" in said[1]
    assert said[1].endswith("run: segray evaluate runs/camvid --data ROOT")
    assert files.test_scores() is None
    assert evaluate_sweep(files.folder.path, root=config.data.root)[0].num_images == 3


def test_it_is_judged_on_the_data_that_the_last_start_read(files, config):
    best, pointer = files.best()
    moved = config.with_values({"data.root": "/nowhere", "data.cache_dir": "/nowhere"})
    best.folder.child(pointer.checkpoint).write_json("config.json", moved.model_dump(mode="json"))
    said = []
    data = config.data
    assert judge_best(files, "runs/camvid", said.append, data_root=data.root, cache_dir=data.cache_dir)
    assert len(said) == 1  # the images were decoded there already
    assert files.test_scores().num_images == 3


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KeyboardInterrupt(), r"interrupted; the sweep is complete, .* later: segray evaluate 'runs/my camvid'$"),
        (
            RuntimeError("a bug"),
            r"could not be judged here on the test images: RuntimeError: a bug\n.* segray evaluate 'runs/my camvid' ",
        ),
    ],
)
def test_whatever_ends_the_judging_is_a_line_that_says_how_to_judge_later(files, monkeypatch, error, line):
    def fail(*arguments):
        raise error

    monkeypatch.setattr(sweep_scores, "evaluate_split", fail)
    said = []
    assert not judge_best(files, "runs/my camvid", said.append)
    assert re.search(line, said[1])
    assert files.test_scores() is None


def test_how_far_the_judging_is_is_said_now_and_then(files, monkeypatch):
    monkeypatch.setattr(evaluate, "LINE_SECONDS", 0.0)
    assert judged(files)[1:] == ["judged 2 of 3 images"]


def test_other_images_than_the_sweeps_are_refused(files):
    splits = files.splits()
    files.write_splits(splits.model_copy(update={"train": {**splits.train, "lost": 1}}))
    with pytest.raises(DataError, match="1 image is gone: lost"):
        evaluate_sweep(files.folder.path)


def test_classes_that_are_not_the_models_are_refused(files):
    best, pointer = files.best()
    checkpoint = best.folder.child(pointer.checkpoint)
    space = checkpoint.read_json("label_space.json")
    checkpoint.write_json("label_space.json", {**space, "names": space["names"][::-1]})
    with pytest.raises(ConfigError, match=r"must have the classes of trial .*'s model, bicycle, .*, but has road, "):
        evaluate_sweep(files.folder.path)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"split": "tset"}, ConfigError, "unknown --split 'tset'; did you mean 'test'"),
        ({"split": "all"}, ConfigError, "--split all takes images that the model was trained on"),
        ({"trial_id": "0002"}, StorageError, "unknown trial '0002'; did you mean"),
    ],
)
def test_what_is_not_there_is_refused(files, options, error, message):
    with pytest.raises(error, match=message):
        evaluate_sweep(files.folder.path, **options)


def test_a_trial_without_a_checkpoint_is_refused(files):
    files.trial("0002").folder.write_json("config.json", {})
    with pytest.raises(StorageError, match=r"trial 0002 of .* has no checkpoint"):
        evaluate_sweep(files.folder.path, trial_id="0002")


def test_a_sweep_that_kept_no_test_images_says_how_to_keep_some(config, tmp_path):
    config = config.with_values({"data.holdout": 0.0, "train.epochs": 1})
    files = fake_sweep.empty_sweep(tmp_path, "plain").files
    train_trial(config, files.trial("0000"), Reporter(), log=TrialLog(None))
    with pytest.raises(DataError, match=r"no test images: cityscapes must come with labelled ones, .*data\.holdout"):
        evaluate_sweep(files.folder.path)


def test_a_gpu_is_taken_where_there_is_one(files, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises((RuntimeError, AssertionError), match=r"CUDA|NVIDIA"):
        evaluate_sweep(files.folder.path)
