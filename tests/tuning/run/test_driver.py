"""What starts and resumes a sweep, up to its first trial."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from threading import Barrier, Event
from types import SimpleNamespace

import fake_sweep
import pytest
from PIL import Image

from segray import owner
from segray.cluster.limits import Limits
from segray.cluster.resources import Resources
from segray.config import RunConfig
from segray.data.synthetic import NEEDED_VALUES, write_scenes
from segray.errors import ConfigError, DataError, SegrayError, StorageError
from segray.inference import sweep_scores
from segray.models import build
from segray.objective import find_objective
from segray.recipes import RECIPES
from segray.records import Outcome
from segray.results import load
from segray.results.notes import notes
from segray.storage import open_sweep
from segray.tuning.race_start import race_of
from segray.tuning.run import driver, sweep_record
from segray.tuning.run import start as start_module
from segray.tuning.run.resuming import as_begun
from segray.tuning.run.start import judge_sweep, run_sweep
from segray.tuning.sweep import Sweep
from segray.tuning.training_run import nothing


class Begun(Exception):  # noqa: N818 - no error: the checks have let the sweep pass
    pass


def space(trial):
    trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True)


def num_clusters(trial):
    trial.suggest_categorical("data.pairs.num_clusters", [4, 6])
    trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True)


def epochs_in_steps(step):
    def space(trial):
        trial.suggest_int("train.epochs", 1, 3, step=step)

    return space


PATHS = ("data.root", "data.cache_dir")


@pytest.fixture
def sweep(scenes, tmp_path):
    base = RunConfig().with_values(
        {"data.root": str(scenes), "data.cache_dir": str(tmp_path / "cache"), "train.batch_size": 4}
    )
    return Sweep(name="s", base=base, space=space, trials=2, epochs=3, storage=f"{tmp_path}/runs")


@pytest.fixture
def drive(monkeypatch):
    """Start a sweep on a machine of two CPUs, without Ray: it begins, or is refused, or has nothing to do."""

    def begin(*arguments, search_plan):
        raise Begun("search" if search_plan else "repeats")

    def start(sweep, **changes):
        sweep = Sweep(**vars(sweep) | changes)
        connection = SimpleNamespace(nodes=lambda: [{"CPU": 2.0}])
        files = open_sweep(f"{sweep.storage}/{sweep.name}")
        driver.drive(sweep, files, connection, announce=print)
        return files

    monkeypatch.setattr(driver, "run_phases", begin)
    return start


def test_a_space_with_other_steps_is_another_space(sweep, drive):
    with pytest.raises(Begun):
        drive(sweep, space=epochs_in_steps(2))
    with pytest.raises(Begun):
        drive(sweep, space=epochs_in_steps(2), resume=True)
    with pytest.raises(ConfigError, match=r"train\.epochs: was '.* from 1 to 3 in steps of 2', now '.* 1 to 3'"):
        drive(sweep, space=epochs_in_steps(1), resume=True)


def test_a_sweep_of_a_version_that_wrote_no_steps_is_resumed(sweep, drive):
    with pytest.raises(Begun):
        drive(sweep, space=epochs_in_steps(1))
    files = open_sweep(f"{sweep.storage}/{sweep.name}")
    files.folder.write_json("sweep.json", files.info().model_dump(mode="json") | {"val_classes": []})
    with pytest.raises(Begun):
        drive(sweep, space=epochs_in_steps(2), resume=True)


def test_auto_weights_stay_what_they_came_to_when_the_network_comes_back(sweep, drive, silent_hub, monkeypatch):
    with pytest.raises(Begun):
        drive(sweep)
    monkeypatch.setattr(build, "imagenet_file", lambda encoder: "fetched")
    with pytest.raises(Begun):
        drive(sweep, resume=True)
    imagenet = sweep.base.with_values({"model.encoder_weights": "imagenet"})
    with pytest.raises(ConfigError, match=r"model\.encoder_weights: was 'none', now 'imagenet'"):
        drive(sweep, base=imagenet, resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scheduler": "none"}, "--scheduler: was 'freeze_thaw', now 'none'"),
        ({"sampler": "random"}, "--sampler: was 'freeze_thaw', now 'random'"),
        ({"sampler_options": {"n_startup_trials": 9}}, "--sampler-option n_startup_trials: was None, now 9"),
        ({"grace_epochs": 2}, "--grace-epochs: was None, now 2"),
        ({"epochs": 4}, "--epochs: was 3, now 4"),
        ({"space": lambda trial: None}, "space of optim.lr: was"),
    ],
)
def test_a_resume_that_would_make_trials_incomparable_is_refused(sweep, drive, changes, message):
    sweep = Sweep(**vars(sweep) | {"base": sweep.base.with_values({"model.encoder_weights": "none"})})
    with pytest.raises(Begun):
        drive(sweep)
    with pytest.raises(ConfigError, match=message):
        drive(sweep, resume=True, **changes)


def test_a_resume_keeps_the_sampler_and_scheduler_that_it_leaves_open(sweep, drive):
    sweep = Sweep(**vars(sweep) | {"base": sweep.base.with_values({"model.encoder_weights": "none"})})
    options = {"n_startup_trials": 5, "multivariate": True}
    with pytest.raises(Begun):
        drive(sweep, sampler="tpe", sampler_options=options, scheduler="asha", grace_epochs=2, reduction_factor=2.0)
    with pytest.raises(Begun):
        drive(sweep, resume=True)
    with pytest.raises(ConfigError, match="--sampler: was 'tpe', now 'random'"):
        drive(sweep, resume=True, sampler="random")
    with pytest.raises(ConfigError, match=r"--grace-epochs: was 2\.0, now 3"):
        drive(sweep, resume=True, grace_epochs=3)
    with pytest.raises(ConfigError, match=r"--reduction-factor: was 2\.0, now 3"):
        drive(sweep, resume=True, reduction_factor=3.0)
    with pytest.raises(ConfigError, match="--sampler-option multivariate: was True, now None"):
        drive(sweep, resume=True, sampler_options={"n_startup_trials": 5})


def test_a_resume_of_a_sweep_that_recorded_no_settings_has_the_defaults(sweep):
    asked = as_begun(sweep, fake_sweep.info(sampler="tpe", scheduler="asha", scheduler_settings={}))
    assert (asked.chosen_sampler, asked.chosen_scheduler, asked.grace_epochs) == ("tpe", "asha", 1)
    assert (asked.chosen_reduction_factor, dict(asked.sampler_options)) == (3.0, {})


def test_a_sweep_from_before_a_key_was_added_is_resumed_with_its_default(sweep, drive):
    sweep = Sweep(**vars(sweep) | {"base": sweep.base.with_values({"model.encoder_weights": "none"})})
    with pytest.raises(Begun):
        drive(sweep)
    files = open_sweep(f"{sweep.storage}/{sweep.name}")
    begun = files.info()
    added = ("data.rare_class_crops", "train.patience")
    older = {key: value for key, value in begun.base.items() if key not in added}
    files.folder.write_json("sweep.json", begun.model_copy(update={"base": older}).model_dump(mode="json"))
    with pytest.raises(Begun):
        drive(sweep, resume=True)
    for key, value in zip(added, (0.5, 3), strict=True):
        with pytest.raises(ConfigError, match=rf"{key}: was .*, now {value}"):
            drive(sweep, base=sweep.base.with_values({key: value}), resume=True)


def test_the_splits_are_kept_and_a_resume_on_other_images_is_refused(sweep, drive):
    sweep = Sweep(**vars(sweep) | {"base": sweep.base.with_values({"data.holdout": 0.25})})
    files = open_sweep(f"{sweep.storage}/{sweep.name}")
    with pytest.raises(Begun):
        drive(sweep)
    splits = files.splits()
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [6, 4, 2]
    with pytest.raises(Begun):
        drive(sweep, resume=True)
    name = next(iter(splits.test))
    other_bytes = {**splits.test, name: splits.test[name] + 1}
    files.write_splits(splits.model_copy(update={"test": other_bytes, "val": {**splits.val, "lost": 1}}))
    with pytest.raises(DataError, match=rf"1 image is gone: lost \(val\)\n.*of another size: {name}"):
        drive(sweep, resume=True)


def test_a_resume_with_another_objective_is_refused(sweep, drive):
    with pytest.raises(Begun):
        drive(sweep, objectives=["val_loss"])
    assert open_sweep(f"{sweep.storage}/{sweep.name}").info().objective == find_objective("val_loss")
    with pytest.raises(ConfigError, match="--objective: was 'minimize val_loss', now 'maximize val_miou'"):
        drive(sweep, resume=True)
    with pytest.raises(Begun):
        drive(sweep, objectives=["val_loss"], resume=True)


@pytest.mark.parametrize("change", [{"majority_scores": {"val_miou": 0.123}}, {"majority_class": "bicycle"}])
def test_a_resume_on_labels_that_decode_differently_is_refused(sweep, drive, change):
    files = open_sweep(f"{sweep.storage}/{sweep.name}")
    with pytest.raises(Begun):
        drive(sweep)
    begun = files.info().model_copy(update=change)
    files.folder.write_json("sweep.json", begun.model_dump(mode="json"))
    with pytest.raises(DataError, match=r"labels decode differently than when 's' began: predicting .* has"):
        drive(sweep, resume=True)


def test_the_labels_of_every_k_are_kept_and_a_resume_on_another_fit_is_refused(sweep, drive, tmp_path):
    write_scenes("cityscapes_pairs", tmp_path / "pairs", train=4, val=1, size_px=(64, 64))
    values = {"data.dataset": "cityscapes_pairs", "data.root": str(tmp_path / "pairs"), "data.pairs.labels": "kmeans"}
    changes = {"base": sweep.base.with_values(values), "space": num_clusters}
    with pytest.raises(Begun):
        drive(sweep, **changes)
    files = open_sweep(f"{sweep.storage}/{sweep.name}")
    splits = files.splits()
    assert len(splits.labels) == len(set(splits.labels.values())) == 2
    with pytest.raises(Begun):
        drive(sweep, resume=True, **changes)
    _, last = splits.labels
    files.write_splits(splits.model_copy(update={"labels": {**splits.labels, last: "another"}}))
    with pytest.raises(DataError, match=r"decode differently on .* than on the machine that started the sweep"):
        drive(sweep, resume=True, **changes)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"data.root": "other"}, "images are gone"), ({"data.resize_px": [32, 32]}, r"data\.resize_px: was None")],
)
def test_a_resume_on_other_data_is_refused_before_it_is_decoded(sweep, drive, tmp_path, monkeypatch, values, message):
    monkeypatch.chdir(tmp_path)
    write_scenes("cityscapes", "other", train=4, val=2, size_px=(64, 64), seed=1)
    with pytest.raises(Begun):
        drive(sweep)
    other = sweep.base.with_values({**values, "data.cache_dir": "cold"})
    with pytest.raises(SegrayError, match=message):
        drive(sweep, base=other, resume=True)
    assert not (tmp_path / "cold").exists()


def test_a_sweep_says_and_keeps_which_classes_validation_holds(sweep, drive, capsys):
    with pytest.raises(Begun):
        drive(sweep)
    info = open_sweep(f"{sweep.storage}/{sweep.name}").info()
    missing = [name for name in info.classes if name not in info.val_classes]
    assert 0 < len(missing) < len(info.classes) == 19
    line = f"no validation image has: {', '.join(missing)}; mIoU is the mean over {19 - len(missing)} of 19 classes"
    assert line in capsys.readouterr().out.splitlines()


def written_by_an_earlier_version(sweep, changed):
    """The sweep without its `val_classes`, and a trial whose epoch counts the classes at these positions too."""
    files = open_sweep(f"{sweep.storage}/{sweep.name}")
    info, content = files.info(), files.folder.read_json("sweep.json")
    del content["val_classes"]
    files.folder.write_json("sweep.json", content)
    ious = [0.4 if name in info.val_classes else None for name in info.classes]
    for name in changed:
        ious[info.classes.index(name)] = 0.0
    scores = {f"val_iou/{name}": iou for name, iou in zip(info.classes, ious, strict=True)}
    record = fake_sweep.record(1)
    files.trial("0000").append_record(record.model_copy(update={"scores": record.scores | scores}))


def test_a_resume_goes_on_where_an_earlier_version_had_the_mean_over_the_same_classes(sweep, drive):
    with pytest.raises(Begun):
        drive(sweep)
    written_by_an_earlier_version(sweep, changed=[])
    with pytest.raises(Begun):
        drive(sweep, resume=True)


def test_a_resume_is_refused_where_an_earlier_version_counted_classes_that_validation_lacks(sweep, drive):
    with pytest.raises(Begun):
        drive(sweep)
    info = open_sweep(f"{sweep.storage}/{sweep.name}").info()
    lacking = next(name for name in info.classes if name not in info.val_classes)
    written_by_an_earlier_version(sweep, changed=[lacking])
    with pytest.raises(ConfigError, match=f"earlier version of segray began 's' and counted {lacking} in the mIoU"):
        drive(sweep, resume=True)


def test_a_resume_on_labels_of_other_classes_is_refused(sweep, drive):
    with pytest.raises(Begun):
        drive(sweep)
    folder = open_sweep(f"{sweep.storage}/{sweep.name}").folder
    folder.write_json("sweep.json", {**folder.read_json("sweep.json"), "val_classes": ["road"]})
    with pytest.raises(ConfigError, match=r"classes of the validation labels: was \('road',\), now \('road', "):
        drive(sweep, resume=True)


NO_TEST = "no test figure: cityscapes has no labelled test images here; set data.holdout=0.1 to keep a part of "


@pytest.mark.parametrize(
    ("values", "space", "line"),
    [
        ({}, space, NO_TEST),
        ({"data.holdout": 0.25}, space, "the best trial is judged on 2 test images at the end"),
        ({}, nothing, NO_TEST),
        ({"data.holdout": 0.1}, nothing, "the trained model is judged on 1 test image at the end"),
    ],
)
def test_a_test_figure_is_promised_or_denied_before_the_first_trial(sweep, drive, capsys, values, space, line):
    with pytest.raises(Begun):
        drive(sweep, base=sweep.base.with_values(values), space=space)
    said = capsys.readouterr().out.splitlines()
    assert [text for text in said if text.startswith(line)]
    assert sum("test figure" in text or "test image" in text for text in said) == 1


def test_test_images_whose_labels_are_all_void_promise_no_figure(sweep, drive, capsys, tmp_path):
    write_scenes("folder", tmp_path / "own", train=4, val=2, test=2, size_px=(64, 64))
    for path in (tmp_path / "own").glob("labels/test/*"):
        with Image.open(path) as label:
            void = label.point(lambda _: 255)
        void.save(path)
    values = {**NEEDED_VALUES["folder"], "data.dataset": "folder", "data.root": str(tmp_path / "own")}
    with pytest.raises(Begun):
        drive(sweep, base=sweep.base.with_values(values))
    assert "no test figure: every label pixel of the 2 test images of folder is void\n" in capsys.readouterr().out


def test_a_resume_with_nothing_left_to_do_finishes_an_interrupted_sweep(sweep, drive):
    files = fake_sweep.empty_sweep(sweep.storage, "s").files
    files.trial("0000").finish(Outcome(status="finished"))
    files.write_state(fake_sweep.state("interrupted", trials=2))
    drive(sweep, resume=True, trials=1)
    assert (files.state().status, files.state().trials) == ("finished", 1)


@pytest.mark.parametrize(("status", "said"), [("finished", "ended"), ("out_of_memory", "failed")])
def test_a_resume_of_a_single_run_that_has_ended_says_so(sweep, drive, capsys, status, said):
    files = fake_sweep.empty_sweep(sweep.storage, "s", space={}).files
    files.trial("0000").finish(Outcome(status=status))
    drive(sweep, resume=True, trials=1)
    assert f"the run has {said}; leave --resume out and choose another --name" in capsys.readouterr().out


def test_a_retry_takes_failed_trials_and_repeats_up_again_and_no_others(sweep, drive, capsys):
    with pytest.raises(Begun):
        drive(sweep)
    files = open_sweep(f"{sweep.storage}/{sweep.name}")
    fake = fake_sweep.FakeSweep(files, files.info())
    for number, status in enumerate(("finished", "failed", "diverged", "out_of_memory")):
        fake_sweep.write_trial(fake, f"{number:04d}", {}, [0.4], status=status)
    fake_sweep.write_repeats(fake, "0000", [0.4], epochs=3, status="failed")
    drive(sweep, resume=True, trials=4)
    assert files.trial("0001").is_over()
    with pytest.raises(Begun, match="search"):
        drive(sweep, resume=True, trials=4, retry_failed=True)
    assert "failed before, taken up again: 0001, 0000-seed1-epochs3" in capsys.readouterr().out
    assert [trial.id for trial in files.trials_and_repeats() if not trial.is_over()] == ["0001", "0000-seed1-epochs3"]


def test_a_retry_goes_on_with_a_search_though_its_repeats_had_begun(sweep, drive, ended):
    trial = fake_sweep.write_trial(ended, "0001", {}, [0.3], status="failed")
    ended.files.write_state(fake_sweep.state("interrupted", trials=2).model_copy(update={"repeating": True}))
    with pytest.raises(Begun, match="repeats"):
        drive(sweep, resume=True, repeats=1)
    with pytest.raises(Begun, match="search"):
        drive(sweep, resume=True, repeats=1, retry_failed=True)
    assert not trial.is_over()


def test_a_retry_of_nothing_that_failed_has_nothing_to_do(sweep, drive, ended, capsys):
    drive(sweep, resume=True, retry_failed=True)
    assert "nothing left to do" in capsys.readouterr().out


def test_a_retry_needs_a_resume(sweep):
    with pytest.raises(ConfigError, match="needs --resume"):
        run_sweep(Sweep(**vars(sweep) | {"retry_failed": True}))


def test_a_resume_of_a_single_run_that_failed_says_how_to_retry_it(sweep, drive, capsys):
    files = fake_sweep.empty_sweep(sweep.storage, "s", space={}).files
    files.trial("0000").finish(Outcome(status="failed"))
    drive(sweep, resume=True, trials=1)
    assert "the run has failed; add --retry-failed to go on with it" in capsys.readouterr().out


def test_a_sweep_notes_the_recipe_that_its_first_trial_is(sweep, drive):
    with pytest.raises(Begun):
        drive(sweep, recipe="fcn")
    info = open_sweep(f"{sweep.storage}/{sweep.name}").info()
    assert (info.recipe, info.baseline_name) == ("fcn", "recipe fcn")
    assert info.first_trials == ({"optim.lr": sweep.base.optim.lr},)


def test_a_sweep_notes_in_what_its_recipe_is_not_the_published_one(sweep, drive):
    published = RECIPES["cityscapes_smp"].config
    small = {"data.crop_px": [64, 64], "train.batch_size": 4, "model.encoder_weights": "none"}
    base = published.with_values({**small, **{key: getattr(sweep.base.data, key[5:]) for key in PATHS}})
    with pytest.raises(Begun):
        drive(sweep, recipe="cityscapes_smp", base=base, space=lambda trial: None, epochs=None)
    files = open_sweep(f"{sweep.storage}/{sweep.name}")
    assert files.info().recipe_values == {
        "data.crop_px": list(published.data.crop_px),
        "train.batch_size": published.train.batch_size,
        "model.encoder_weights": "imagenet",
    }
    [note] = notes(load(files.folder.path), ("recipe",))
    assert (
        "Recipe cityscapes_smp was run with other values than published: data.crop_px 64×64 (published: " in note.text
    )


def test_weights_of_an_encoder_that_a_recipe_does_not_have_are_no_change(sweep, drive):
    paths = {key: getattr(sweep.base.data, key[5:]) for key in PATHS}
    base = RECIPES["carla_unet"].config.with_values({**paths, "data.dataset": "cityscapes", "data.split.sizes": None})
    with pytest.raises(Begun):
        drive(sweep, recipe="carla_unet", base=base, space=lambda trial: None, epochs=None)
    changed = open_sweep(f"{sweep.storage}/{sweep.name}").info().recipe_values
    assert set(changed) == {"data.dataset", "data.split.sizes"}


def test_a_sweep_from_before_there_were_recipes_loads(tmp_path):
    files = fake_sweep.empty_sweep(tmp_path).files
    content = files.folder.read_json("sweep.json")
    del content["recipe"]
    files.folder.write_json("sweep.json", content)
    assert files.info().baseline_name == "the first trial"


@pytest.fixture
def ended(sweep, drive):
    """A sweep of two trials that have ended, the first of them the best."""
    with pytest.raises(Begun, match="search"):
        drive(sweep)
    files = open_sweep(f"{sweep.storage}/{sweep.name}")
    fake = fake_sweep.FakeSweep(files, files.info())
    for trial_id, miou in (("0000", 0.4), ("0001", 0.3)):
        trial = fake_sweep.write_trial(fake, trial_id, {}, [miou], status=None)
        trial.write_pointer("best", trial.pointer("last"))
        trial.finish(Outcome(status="finished"))
    files.write_state(fake_sweep.state(trials=2))
    return fake


def test_a_resume_of_an_ended_search_runs_the_repeats_it_lacks(sweep, drive, ended):
    drive(sweep, resume=True)
    with pytest.raises(Begun, match="repeats"):
        drive(sweep, resume=True, repeats=1)
    fake_sweep.write_repeats(ended, "0000", [0.4], epochs=3)
    drive(sweep, resume=True, repeats=1)
    with pytest.raises(Begun, match="repeats"):
        drive(sweep, resume=True, repeats=2)
    with pytest.raises(Begun, match="search"):
        drive(sweep, resume=True, trials=3, repeats=2)


def test_a_race_of_an_ended_sweep_needs_no_space_and_runs_what_is_missing(sweep, drive, ended, capsys):
    def race(seeds, data=None):
        location = f"{sweep.storage}/{sweep.name}"
        return race_of(location, top=2, seeds=seeds, data=data, resources=Resources(), limits=Limits())

    before = ended.files.state()
    with pytest.raises(Begun, match="repeats"):
        drive(race(2))
    for trial in ("0000", "0001"):
        fake_sweep.write_repeats(ended, trial, [0.4, 0.41], epochs=3)
    drive(race(2))
    assert "the race is over, or has had all 2 seeds; ask for more with --top or --seeds" in capsys.readouterr().out
    assert ended.files.state() == before
    with pytest.raises(Begun, match="repeats"):
        drive(race(3))
    shutil.copytree(sweep.base.data.root, f"{sweep.storage}/moved")
    with pytest.raises(Begun, match="repeats"):
        drive(race(3, data=f"{sweep.storage}/moved"))


@pytest.mark.parametrize(
    ("status", "changes", "goes_on_with"),
    [
        ("interrupted", {}, "repeats"),
        ("interrupted", {"trials": 9}, "search"),
        ("interrupted", {"repeats": 0}, "search"),
        ("finished", {}, "search"),
    ],
)
def test_repeats_that_were_interrupted_go_on_before_a_search_whose_time_was_spent(
    sweep, drive, ended, status, changes, goes_on_with
):
    state = fake_sweep.state(status, trials=2).model_copy(update={"repeating": True})
    ended.files.write_state(state)
    with pytest.raises(Begun, match=goes_on_with):
        drive(sweep, resume=True, **{"trials": None, "minutes": 25, "repeats": 1} | changes)


def test_of_starts_with_one_name_at_once_one_begins(tmp_path):
    files = open_sweep(tmp_path / "runs" / "s")
    together = Barrier(8)

    def start(seed):
        together.wait()
        try:
            files.write_info(fake_sweep.info(seed=seed))
        except StorageError:
            return None
        return seed

    with ThreadPoolExecutor(8) as pool:
        begun = [seed for seed in pool.map(start, range(8)) if seed is not None]
    assert begun == [files.info().seed]
    with pytest.raises(StorageError, match="another start has made"):
        files.write_info(fake_sweep.info())


def test_a_revision_that_git_is_slow_to_tell_is_left_out(monkeypatch):
    def slow(command, **options):
        raise subprocess.TimeoutExpired(command, 10)

    monkeypatch.setattr(subprocess, "run", slow)
    assert sweep_record.git_revision() == ""


@pytest.fixture
def resume(sweep, monkeypatch):
    """Resume a sweep up to where Ray would start."""

    def connect(_when_lost):
        raise Begun

    monkeypatch.setattr(start_module, "Connection", connect)
    monkeypatch.setattr(owner, "WATCH_SECONDS", 2.0)
    return lambda: run_sweep(Sweep(**vars(sweep) | {"resume": True}), announce=lambda line: None)


@pytest.mark.parametrize("driver", ["", "host:1", "host:abc", ":", "host"])
def test_a_sweep_of_a_version_that_knew_no_owners_is_resumed_when_its_state_does_not_change(sweep, resume, driver):
    files = fake_sweep.empty_sweep(sweep.storage, "s").files
    files.write_state(fake_sweep.state("running").model_copy(update={"driver": driver}))
    with pytest.raises(Begun):
        resume()


@pytest.mark.parametrize("clock_off_seconds", [-3600, 0, 3600])
def test_a_sweep_of_a_version_that_knew_no_owners_is_refused_while_its_state_changes(sweep, resume, clock_off_seconds):
    files = fake_sweep.empty_sweep(sweep.storage, "s").files
    begun, over = Event(), Event()

    def drive():
        while not over.wait(0.05):
            files.write_state(fake_sweep.state("running", age_seconds=clock_off_seconds))
            begun.set()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(drive)
        begun.wait()
        try:
            with pytest.raises(StorageError, match="still running"):
                resume()
        finally:
            over.set()


def test_a_resume_is_refused_while_another_start_prepares_and_leaves_the_sweep_when_it_ends(sweep, resume):
    files = fake_sweep.empty_sweep(sweep.storage, "s").files
    files.write_state(fake_sweep.state("interrupted"))
    with owner.Claim(files.folder) as claim:
        claim.take()
        with pytest.raises(StorageError, match=f"still running, as process {os.getpid()}"):
            resume()
    with pytest.raises(Begun):
        resume()
    with pytest.raises(Begun):
        resume()


@pytest.mark.parametrize(("status", "judged"), [("finished", 1), ("interrupted", 0)])
def test_a_sweep_that_came_to_its_end_is_judged_on_its_test_images(sweep, monkeypatch, status, judged):
    seen = []
    files = fake_sweep.empty_sweep(sweep.storage, "s").files
    files.write_state(fake_sweep.state(status))
    monkeypatch.setattr(sweep_scores, "judge_best", lambda files, location, announce, **where: seen.append(where))
    judge_sweep(sweep, files)
    data = sweep.base.data
    assert seen == [{"data_root": data.root, "cache_dir": data.cache_dir}] * judged


def test_a_later_sweep_of_the_same_process_finds_images_that_were_added(scenes, tmp_path, monkeypatch):
    copy = tmp_path / "scenes"
    shutil.copytree(scenes, copy)
    base = RunConfig().with_values(
        {"data.root": str(copy), "data.cache_dir": str(tmp_path / "cache"), "train.batch_size": 4}
    )
    nodes = SimpleNamespace(nodes=lambda: [{"CPU": 2.0}])
    monkeypatch.setattr(start_module, "Connection", lambda when_lost: nullcontext(nodes))
    monkeypatch.setattr(driver, "run_phases", lambda *arguments, **options: None)

    def num_train(name):
        sweep = Sweep(name=name, base=base, space=space, trials=2, epochs=3, storage=f"{tmp_path}/runs")
        return len(run_sweep(sweep, announce=[].append).splits().train)

    before = num_train("first")
    for folder, suffix in (("leftImg8bit", "leftImg8bit"), ("gtFine", "gtFine_labelIds")):
        file = next((copy / folder / "train").rglob(f"*_{suffix}.png"))
        shutil.copy(file, file.with_name(f"{file.parent.name}_999999_000019_{suffix}.png"))
    assert num_train("second") == before + 1
