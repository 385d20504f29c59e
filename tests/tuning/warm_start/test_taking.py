"""What a new sweep takes from earlier ones, and what it says of the rest."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
from fake_sweep import FakeSweep, write_trial

from segray.cluster.resources import make_plan
from segray.config import RunConfig
from segray.data.preparation import prepare
from segray.data.splits.split_record import record_splits
from segray.data.synthetic import write_scenes
from segray.errors import ConfigError, StorageError
from segray.objective import Objective
from segray.storage import open_sweep
from segray.tuning.points import Point, draw_point, first_of
from segray.tuning.preflight import Checked
from segray.tuning.run import driver
from segray.tuning.run.start import run_sweep
from segray.tuning.run.sweep_record import sweep_record
from segray.tuning.sweep import Sweep
from segray.tuning.warm_start.taking import NUM_BEST, warm_start

FIRST = {"optim.lr": 1e-3, "train.batch_size": 4}


def space(trial):
    trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True)
    trial.suggest_categorical("train.batch_size", [2, 4])


def wider(trial):
    trial.suggest_float("optim.lr", 1e-4, 1.0, log=True)
    trial.suggest_categorical("optim.name", ["adamw", "sgd"])
    trial.suggest_categorical("train.batch_size", [2, 4])


def elsewhere(trial):
    trial.suggest_float("optim.weight_decay", 1e-4, 1e-2, log=True)


def losses(trial):
    trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True)
    trial.suggest_categorical("loss.name", ["cross_entropy", "dice"])


@pytest.fixture(scope="module")
def base(scenes, tmp_path_factory):
    return RunConfig().with_values(
        {
            "data.dataset": "cityscapes",
            "data.root": str(scenes),
            "data.cache_dir": str(tmp_path_factory.mktemp("cache")),
            "model.encoder": "tu-test_resnet",
            "model.encoder_weights": "none",
        }
    )


@pytest.fixture(scope="module")
def sweep(base):
    return Sweep(name="new", base=base, space=space, first_trials=[FIRST], trials=4, epochs=4)


def checked(sweep):
    """What the checks find, without these: they draw hundreds of trials."""
    base = sweep.base.with_values({"train.epochs": sweep.epochs})
    draw = draw_point(sweep.space, Point({}, first_of))
    data = prepare(base.data, announce=[].append)
    return Checked(
        base,
        sweep.space,
        draw.distributions,
        sweep.first_trials,
        {},
        sweep.epochs,
        data,
        {base.data: data},
        "no weights",
    )


def earlier(sweep, folder, *trials):
    """Write the files of a sweep that has ended: its trials are values, mIoUs and how they ended."""
    found = checked(sweep)
    files = open_sweep(folder)
    files.write_info(sweep_record(sweep, found, make_plan(sweep.resources, [{"CPU": 2.0}], 1)))
    files.write_splits(record_splits(found.base.data, found.all_data))
    for number, (values, mious, status) in enumerate(trials):
        write_trial(FakeSweep(files, files.info()), f"{number:04d}", values, mious, status=status)
    return files


def taken(sweep, *sources, **changes):
    sweep = replace(sweep, warm_start=tuple(map(str, sources)), **changes)
    return warm_start(sweep, checked(sweep))


TRIALS = (
    ({"optim.lr": 1e-3, "optim.name": "adamw", "train.batch_size": 4}, [0.2, 0.3, 0.35, 0.4], "finished"),
    ({"optim.lr": 5e-3, "optim.name": "adamw", "train.batch_size": 2}, [0.3, 0.5], "stopped"),
    ({"optim.lr": 9e-3, "optim.name": "adamw", "train.batch_size": 2}, [0.1], "diverged"),
    ({"optim.lr": 0.5, "optim.name": "adamw", "train.batch_size": 2}, [0.1, 0.2], "stopped"),
    ({"optim.lr": 2e-3, "optim.name": "sgd", "train.batch_size": 2}, [0.6, 0.7], None),
    ({"optim.lr": 3e-3, "optim.name": "adamw", "train.batch_size": 2}, [0.3], "failed"),
    ({"optim.lr": 4e-3, "optim.name": "adamw", "train.batch_size": 2}, [0.3], "out_of_memory"),
    ({"optim.lr": 6e-3, "optim.name": "adamw", "train.batch_size": 2}, [], None),
    ({"optim.lr": 7e-3, "optim.name": "adamw", "train.batch_size": 2}, [0.3], "finished"),
)


@pytest.fixture(scope="module")
def before(sweep, tmp_path_factory):
    """A sweep of a wider space on the same data, with trials of every end, the last of them damaged."""
    folder = tmp_path_factory.mktemp("runs") / "before"
    files = earlier(replace(sweep, space=wider, first_trials=[]), folder, *TRIALS)
    files.trial("0008").folder.write_bytes("config.json", b"{")
    return folder


def test_curves_of_the_same_data_are_taken_where_they_are_points_of_the_space(sweep, before):
    warm = taken(sweep, before)
    assert [(trial.trial, trial.values, dict(trial.scores)) for trial in warm.curves] == [
        ("0000", {"optim.lr": 1e-3, "train.batch_size": 4}, {1: 0.2, 2: 0.3, 3: 0.35, 4: 0.4}),
        ("0001", {"optim.lr": 5e-3, "train.batch_size": 2}, {1: 0.3, 2: 0.5}),
        ("0002", {"optim.lr": 9e-3, "train.batch_size": 2}, {}),
    ]
    assert [trial.is_infeasible for trial in warm.curves] == [False, False, True]
    assert {(trial.run, trial.epochs) for trial in warm.curves} == {(str(before), 4)}
    assert warm.first_trials == ()
    [line] = warm.summary
    assert line.startswith(f"warm start: 3 of 9 trials of {before} (same data); 6 left out: ")
    for reason in (
        "1 with optim.lr outside this space",
        "1 with another optim.name",
        "1 that ended as failed",
        "1 that ended as out of memory",
        "1 without a val mIoU",
        "1 with a damaged config.json (0008)",
    ):
        assert reason in line


def test_a_key_that_the_earlier_sweep_fixed_has_the_value_of_its_base(sweep, tmp_path):
    earlier(sweep, tmp_path / "narrow", ({"optim.lr": 2e-3, "train.batch_size": 2}, [0.4], "stopped"))
    warm = taken(sweep, tmp_path / "narrow", space=wider, first_trials=[])
    assert [trial.values for trial in warm.curves] == [{"optim.lr": 2e-3, "optim.name": "adamw", "train.batch_size": 2}]


def test_a_folder_that_was_moved_holds_the_same_data_and_another_image_does_not(sweep, base, before, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(base.data.root, moved)
    there = replace(sweep, base=base.with_values({"data.root": str(moved), "data.num_loader_workers": 1, "seed": 5}))
    assert len(taken(there, before).curves) == 3
    write_scenes("cityscapes", tmp_path / "other", train=8, val=4, size_px=(64, 64), seed=1)
    other = taken(replace(sweep, base=base.with_values({"data.root": str(tmp_path / "other")})), before)
    assert other.curves == ()
    assert other.first_trials == (
        {"optim.lr": 2e-3, "train.batch_size": 2},
        {"optim.lr": 5e-3, "train.batch_size": 2},
        # The value outside the space is the baseline's; the trial with the baseline's values is one already.
        {"optim.lr": 1e-3, "train.batch_size": 2},
    )
    assert other.summary == (
        f"warm start: the best 3 of 9 trials of {before} become first trials, since it had other images",
    )


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"data.resize_px": [32, 32]}, "it had another data.resize_px"),
        ({"data.classes": "categories"}, "it had another data.classes"),
        ({"optim.weight_decay": 0.5}, "no trial fits: 3 with another optim.weight_decay, 1 with"),
    ],
)
def test_trials_of_another_scale_are_first_trials_at_most(sweep, base, before, values, why):
    warm = taken(replace(sweep, base=base.with_values(values)), before)
    assert warm.curves == ()
    assert len(warm.first_trials) == NUM_BEST
    assert why in warm.summary[0]


def test_a_sampler_without_a_model_of_curves_gets_the_best_configs(sweep, before):
    warm = taken(sweep, before, sampler="tpe")
    assert (len(warm.curves), len(warm.first_trials)) == (0, NUM_BEST)
    assert warm.summary[0].endswith("since sampler tpe learns from no curves of other sweeps")


def test_labels_that_decode_differently_are_other_data(sweep, before, tmp_path):
    files = open_sweep(tmp_path / "copy")
    shutil.copytree(before, files.folder.path)
    splits = files.splits()
    files.write_splits(splits.model_copy(update={"labels": dict.fromkeys(splits.labels, "other")}))
    assert taken(sweep, tmp_path / "copy").summary[0].endswith("since its labels decode differently")
    files.folder.delete("splits.json")
    assert taken(sweep, tmp_path / "copy").summary[0].endswith("since it had other images")
    info = files.info().model_dump(mode="json")
    files.folder.write_json("sweep.json", info | {"base": info["base"] | {"data.all_data": True}})
    assert taken(sweep, tmp_path / "copy").summary[0].endswith("since its validation images trained it")


def test_the_best_are_those_by_the_new_objective_if_it_was_recorded(sweep, before):
    worst = taken(sweep, before, sampler="random", objectives=[Objective("val_miou", "minimize")])
    assert worst.first_trials[0] == {"optim.lr": 1e-3, "train.batch_size": 2}, "the one whose rate is outside"
    with pytest.raises(ConfigError, match=r"epochs have the objective val_cluster_miou, .* compared by val_miou"):
        taken_by_clusters(sweep, before)


def taken_by_clusters(sweep, before):
    found = replace(sweep, warm_start=(str(before),), objectives=["val_cluster_miou"])
    return warm_start(found, checked(sweep))


def test_losses_of_two_losses_choose_no_best_trial(sweep, tmp_path):
    trials = [({"optim.lr": 2e-3, "loss.name": name}, [0.4], "stopped") for name in ("cross_entropy", "dice")]
    earlier(replace(sweep, space=losses, first_trials=[]), tmp_path / "losses", *trials)
    with pytest.raises(ConfigError, match=r"losses: --objective val_loss cannot compare trials .* loss\.name"):
        taken(sweep, tmp_path / "losses", objectives=["val_loss"], sampler="random")


def test_a_sweep_that_shares_no_key_is_refused_and_a_single_run_is_taken(sweep, tmp_path):
    earlier(replace(sweep, space=elsewhere, first_trials=[]), tmp_path / "a", ({}, [0.4], "finished"))
    message = r"shares a searched key, but .*a searched optim\.weight_decay, and this sweep searches optim\.lr, train"
    with pytest.raises(ConfigError, match=message):
        taken(sweep, tmp_path / "a")
    earlier(
        replace(sweep, space=lambda _trial: None, first_trials=[]),
        tmp_path / "b",
        ({"optim.lr": 3e-3, "train.batch_size": 2}, [0.4], None),
    )
    assert [trial.values["optim.lr"] for trial in taken(sweep, tmp_path / "b").curves] == [3e-3]


def test_bad_sources_are_refused_before_anything_starts(sweep, tmp_path, before):
    sweep = replace(sweep, storage=str(tmp_path / "new"))
    with pytest.raises(StorageError, match=r"--warm-start .*/none: no sweep at .*/none': it has no sweep\.json"):
        run_sweep(replace(sweep, warm_start=(str(tmp_path / "none"),)))
    with pytest.raises(ConfigError, match="--warm-start must give portfolio once"):
        run_sweep(replace(sweep, warm_start=("portfolio", str(before), "portfolio")))
    assert not (tmp_path / "new" / "new").exists()


def test_what_was_taken_is_kept_with_the_sweep_and_a_resume_needs_no_earlier_folder(
    sweep, before, tmp_path, monkeypatch
):
    copy = tmp_path / "before"
    shutil.copytree(before, copy)
    sweep = replace(sweep, storage=str(tmp_path), warm_start=(str(copy),))
    files, said = open_sweep(f"{tmp_path}/new"), []
    monkeypatch.setattr(driver, "check", lambda sweep, **_: checked(sweep))
    monkeypatch.setattr(driver, "run_phases", lambda *_, **__: None)

    def drive(sweep):
        driver.drive(sweep, files, SimpleNamespace(nodes=lambda: [{"CPU": 2.0}]), announce=said.append)

    drive(sweep)
    warm = files.warm_start()
    assert len(warm.curves) == 3
    assert warm.summary[0] in said
    assert files.info().warm_start == (str(copy),)
    shutil.rmtree(copy)
    drive(replace(sweep, resume=True))
    drive(replace(sweep, resume=True, warm_start=()))
    assert files.warm_start() == warm
    with pytest.raises(ConfigError, match=r"--warm-start: was \('.*before',\), now \('portfolio',\)"):
        drive(replace(sweep, resume=True, warm_start=("portfolio",)))
    files.folder.delete("warm_start.json")
    with pytest.raises(StorageError, match=r"lacks warm_start\.json"):
        drive(replace(sweep, resume=True))
