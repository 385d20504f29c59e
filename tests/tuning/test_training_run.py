"""``segray train``: what it makes of its options, and one real run."""

import shutil
import subprocess
import sys

import pytest
from fake_sweep import empty_sweep, record, write_trial

from segray.cli import main
from segray.config import RunConfig, to_yaml
from segray.data.synthetic import write_scenes
from segray.objective import find_objective
from segray.recipes import RECIPES
from segray.records import CheckpointPointer
from segray.results import load
from segray.storage import open_sweep
from segray.tuning import command, training_run


@pytest.fixture(scope="module")
def kitti(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "kitti"
    write_scenes("kitti_road", root, train=10, val=2, test=1, size_px=(64, 128))
    return root


@pytest.fixture
def train(monkeypatch, tmp_path, capsys):
    """Call ``segray train``; returns the sweep that would run, or the exit code, and all that was printed."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        asked = []

        def run_and_exit(sweep, *, before):
            before()
            asked.append(sweep)

        monkeypatch.setattr(command, "run_and_exit", run_and_exit)
        monkeypatch.setattr(sys, "argv", ["segray", "train", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return (asked[0] if asked else ended.value.code), printed.out + printed.err

    return call


def test_a_recipe_with_its_options_is_a_sweep_of_one_trial(train, kitti):
    sweep, _ = train(
        *("--recipe", "kitti_fcn8s", "--data", kitti, "--set", "train.epochs=3", "--set", "data.resize_px=[64, 128]"),
        *("--encoder-weights", "none", "--workers-per-trial", 2, "--storage", "here", "--name", "mine"),
    )
    changed = {"data.root": str(kitti), "train.epochs": 3, "data.resize_px": [64, 128]}
    assert sweep.base == RECIPES["kitti_fcn8s"].config.with_values({**changed, "model.encoder_weights": "none"})
    assert (sweep.trials, sweep.scheduler, sweep.epochs, sweep.resume) == (1, "none", 3, False)
    assert (sweep.storage, sweep.name, sweep.resources.workers_per_trial) == ("here", "mine", 2)


def test_a_config_file_may_hold_the_folder_of_its_data(train, kitti, tmp_path):
    config = RunConfig().with_values({"data.dataset": "kitti_road", "data.root": str(kitti), "train.epochs": 4})
    for file in ("own.yaml", ".own.yaml"):
        (tmp_path / file).write_text(to_yaml(config))
        sweep, _ = train("--config", file, "--set", "optim.lr=0.5")
        assert sweep.base == config.with_values({"optim.lr": 0.5})
        assert sweep.name.startswith("own-")


def test_the_config_of_a_trial_can_be_trained_anew(train, kitti, tmp_path):
    values = {"data.dataset": "kitti_road", "data.root": str(kitti), "optim.weight_decay": 1e-05}
    config = RunConfig().with_values(values)
    open_sweep(tmp_path / "sweep").trial("0007").write_config(config)
    sweep, _ = train("--config", "sweep/trials/0007/config.json", "--set", "seed=3", "--name", "again")
    assert sweep.base == config.with_values({"seed": 3})


@pytest.fixture
def winner(kitti, tmp_path):
    """Write a run with a model, chosen by its loss."""
    values = {"data.dataset": "kitti_road", "data.root": str(kitti), "train.patience": 3, "optim.lr": 0.125}
    objectives = (find_objective("val_loss"),)
    sweep = empty_sweep(tmp_path / "runs", "roads", base=RunConfig().with_values(values).flat(), objectives=objectives)
    trial = write_trial(sweep, "0004", {"seed": 7}, [0.5])
    pointer = CheckpointPointer(checkpoint="checkpoints/1-1", record=record(1, 0.5), seconds=1.0)
    trial.write_pointer("best", pointer)
    trial.folder.write_bytes("checkpoints/1-1/model.safetensors", b"")
    return sweep, RunConfig().with_values(values | {"seed": 7})


def test_a_winner_is_trained_on_with_its_full_config_and_objective(train, winner):
    sweep, config = winner
    asked, printed = train("--from", "runs/roads", "--epochs", 200, "--set", "train.batch_size=4")
    assert asked.base == config.with_values({"train.epochs": 200, "train.batch_size": 4})
    assert asked.objectives == (sweep.info.objective,)
    assert (asked.epochs, asked.trials, asked.recipe) == (200, 1, "")
    assert asked.name.startswith("roads-0004-2")
    [lineage] = asked.lineage
    assert (lineage.run, lineage.trial, lineage.epoch) == ("roads", "0004", 1)
    assert "config: trial 0004 of roads, epoch 1, val loss " in printed
    asked, _ = train("--from", "runs/roads", "--objective", "val_miou")
    assert asked.objectives == ("val_miou",)


def test_all_data_trains_every_epoch_and_weights_start_from_a_whole_model(train, winner, tmp_path):
    _, config = winner
    asked, printed = train("--from", "runs/roads", "--all-data", "--weights", "runs/roads/trials/0004")
    place = str(tmp_path / "runs/roads/trials/0004/checkpoints/1-1")
    assert asked.base == config.with_values({"data.all_data": True, "train.patience": None, "model.weights": place})
    assert [lineage.gave for lineage in asked.lineage] == ["config", "weights"]
    assert "weights: trial 0004 of roads, epoch 1" in printed


def test_a_resume_takes_what_the_run_began_with(train, winner, tmp_path):
    options = ("--from", "runs/roads", "--weights", "runs/roads", "--epochs", 9, "--name", "long")
    first, _ = train(*options)
    empty_sweep(
        tmp_path / "runs", "long", base=first.base.flat(), lineage=first.lineage, objectives=winner[0].info.objectives
    )
    shutil.rmtree(tmp_path / "runs/roads")
    again, _ = train(*options, "--resume")
    assert (again.base, again.lineage, again.objectives) == (first.base, first.lineage, first.objectives)
    code, printed = train(*options[:2], "--trial", "0005", *options[2:], "--resume")
    assert code == 2
    assert "runs/roads': there is no such folder" in printed


def test_set_alone_changes_the_defaults(train, kitti):
    sweep, _ = train("--set", "data.dataset=kitti_road", "--set", "train.epochs=2", "--data", kitti)
    changed = {"data.dataset": "kitti_road", "data.root": str(kitti), "train.epochs": 2}
    assert sweep.base == RunConfig().with_values(changed)
    assert sweep.name.startswith("kitti_road-")
    assert sweep.recipe == ""


def test_the_folder_is_new_each_time_and_is_told(train, kitti, tmp_path):
    first, printed = train("--recipe", "kitti_fcn8s", "--data", kitti)
    assert f"run: runs/{first.name}; " in printed
    assert f"--name {first.name} --resume" in printed
    assert first.name.startswith("kitti_fcn8s-2")


def test_a_name_that_is_taken_gets_a_counter(tmp_path, monkeypatch):
    class Clock:
        @staticmethod
        def now():
            return moment

    moment = training_run.datetime(2026, 11, 25, 15, 42, 13)
    monkeypatch.setattr(training_run, "datetime", Clock)
    names = []
    for _ in range(3):
        names.append(training_run.new_name("carla_unet", str(tmp_path)))
        (tmp_path / names[-1]).mkdir()
    assert names == [f"carla_unet-20261125-154213{counter}" for counter in ("", "-1", "-2")]


def test_a_recipe_may_run_on_other_data_and_says_so(train, tmp_path):
    write_scenes("camvid", tmp_path / "camvid", train=2, val=1, size_px=(32, 64))
    sweep, printed = train("--recipe", "kitti_fcn8s", "--data", "camvid", "--set", "data.dataset=camvid")
    assert sweep.base.data.dataset == "camvid"
    assert "recipe kitti_fcn8s is for kitti_road; this run is on camvid\n" in printed


@pytest.mark.parametrize(
    ("arguments", "rest"),
    [
        (["--data", "nothing"], ": --data must hold training/image_2/um_*.png"),
        ([], ": --data must hold training/image_2/um_*.png"),
        (
            ["--data", ".", "--set", "data.dataset=carla"],
            ", and this run is on carla: --data must hold CameraRGB/*.png",
        ),
    ],
)
def test_data_that_cannot_be_read_says_what_the_recipe_needs(train, arguments, rest):
    code, printed = train("--recipe", "kitti_fcn8s", *arguments)
    assert code == 2
    assert printed.splitlines()[-1].startswith(f"recipe 'kitti_fcn8s' is for the data set kitti_road{rest}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "needs --recipe, --config, --from, or --set to change the defaults"),
        (
            ["--recipe", "kitti_fcn8s", "--config", "run.yaml"],
            "--from, but got --recipe and --config; keep one",
        ),
        (["--recipe", "kitty_fcn8s"], "unknown recipe 'kitty_fcn8s'; did you mean 'kitti_fcn8s'"),
        (["--config", "run.yaml"], "cannot read config file 'run.yaml'"),
        (["--recipe", "kitti_fcn8s", "--resume"], "--resume needs --name"),
        (["--recipe", "kitti_fcn8s", "--set", "train.epoch=3"], "did you mean 'train.epochs'"),
        (["--recipe", "kitti_fcn8s", "--set", "train.epochs=0"], "train.epochs: input should be greater than"),
        (["--recipe", "kitti_fcn8s", "--set", "data.root=."], "--set cannot give data.root, which --data gives"),
        (["--recipe", "kitti_fcn8s", "--set", "model.encoder_weights=auto"], "which --encoder-weights gives"),
        (["--recipe", "kitti_fcn8s", "--set", "data.dataset=kitty"], "unknown data set 'kitty'"),
        (["--recipe", "kitti_fcn8s", "--from", "runs/a"], "--from, but got --recipe and --from; keep one"),
        (["--recipe", "kitti_fcn8s", "--trial", "0001"], "--trial chooses a trial of the run in --from"),
        (["--from", "runs/nothing"], "no model at"),
        (["--recipe", "kitti_fcn8s", "--weights", "runs/nothing"], "no model at"),
        (["--recipe", "kitti_fcn8s", "--epochs", "2", "--set", "train.epochs=3"], "train.epochs, which --epochs gives"),
        (["--recipe", "kitti_fcn8s", "--epochs", "0"], "train.epochs: input should be greater than"),
        (["--recipe", "kitti_fcn8s", "--all-data", "--set", "train.patience=3"], "which --all-data gives"),
    ],
)
def test_what_cannot_work_exits_with_2(train, arguments, message):
    code, printed = train(*arguments)
    assert code == 2
    assert message in printed


@pytest.mark.ray
@pytest.mark.slow
def test_a_run_has_the_files_and_the_report_of_a_sweep(kitti, tmp_path):
    values = {"train.epochs": 1, "data.resize_px": [64, 128], "model.fcn.head_width": 16, "train.batch_size": 4}
    options = [option for key, value in values.items() for option in ("--set", f"{key}={value}")]
    options += ["--set", f"data.cache_dir={tmp_path / 'cache'}", "--encoder-weights", "none", "--name", "road"]
    ended = subprocess.run(
        [sys.executable, "-m", "segray", "train", "--recipe", "kitti_fcn8s", "--data", str(kitti), *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "trial 0000 finished after 1 epoch, best val mIoU" in ended.stdout
    assert ": \n" not in ended.stdout
    results = load(tmp_path / "runs" / "road")
    assert (results.state, len(results.trials), results.searched) == ("finished", 1, ())
    assert (tmp_path / "runs" / "road" / "report.html").stat().st_size > 100_000
    trial, pointer = open_sweep(tmp_path / "runs" / "road").best()
    assert results.trials["model.fcn.head_width"].tolist() == [16]
    published = RECIPES["kitti_fcn8s"].config.flat() | {"model.encoder_weights": "imagenet"}
    assert results.info.recipe_values == {
        key: published[key] for key in {*values, "model.encoder_weights"} if key != "data.cache_dir"
    }
    assert trial.folder.exists(f"{pointer.checkpoint}/model.safetensors")


@pytest.mark.ray
@pytest.mark.slow
def test_a_winner_is_trained_on_all_data_from_its_own_weights(kitti, tmp_path):
    def train(*arguments):
        command = [sys.executable, "-m", "segray", "train", *arguments]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    values = {
        "data.dataset": "kitti_road",
        "model.encoder": "tu-test_resnet",
        "train.batch_size": 2,
        "data.resize_px": [64, 128],
        "data.cache_dir": tmp_path / "cache",
    }
    options = [option for key, value in values.items() for option in ("--set", f"{key}={value}")]
    train("--data", str(kitti), "--encoder-weights", "none", "--epochs", "1", "--name", "first", *options)
    said = train("--from", "runs/first", "--all-data", "--weights", "runs/first", "--epochs", "2", "--name", "all")
    assert "train too, so val scores are on training images and choose nothing" in said
    assert "val mIoU on training images: " in said
    assert "segray predict runs/all PHOTOS" in said
    first, now = (open_sweep(tmp_path / "runs" / name) for name in ("first", "all"))
    before, after = first.splits(), now.splits()
    assert set(after.train) == {*before.train, *before.val}
    assert after.test == before.test
    assert "no figure of this run is unbiased" in said
    trial, pointer = now.best()
    assert pointer.record.epoch == 2
    assert [lineage.gave for lineage in now.info().lineage] == ["config", "weights"]
    assert b": all " in trial.folder.read_bytes("log.txt")
