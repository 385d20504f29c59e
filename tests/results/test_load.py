import json

import fake_sweep
import pandas as pd
import pytest
from fake_sweep import note_texts

from segray.config import RunConfig
from segray.errors import StorageError
from segray.folder import Folder
from segray.objective import SCORES
from segray.owner import Claim
from segray.records import EpochRecord, Lineage
from segray.results import load


def load_sweep(sweep):
    return load(sweep.files.folder.path)


def test_every_trial_is_a_row_with_its_outcome_and_config(full):
    assert len(full.trials) == 20
    assert set(full.trials["outcome"]) == {"finished", "stopped", "failed", "diverged", "out_of_memory"}
    failed = full.trials.set_index("id").loc["0005"]
    assert failed["reason"].startswith("DeepLabV3Plus needs")
    assert failed["traceback"].startswith("Traceback")
    assert failed["model.encoder"] == "resnet34"
    assert full.trials["train.batch_size"].dtype == "int64"


def test_a_trial_knows_which_keys_it_drew(full):
    drawn = full.trials.set_index("id")["drawn"]
    focal = full.trials.set_index("id")["loss.name"].str.contains("focal")
    assert 0 < focal.sum() < len(drawn)
    assert drawn.map(lambda keys: "loss.focal_gamma" in keys).equals(focal)
    assert all("optim.lr" in keys for keys in drawn)
    [one] = [trial for trial in full.as_json()["trials"] if trial["id"] == "0000"]
    assert one["drawn"] == list(drawn["0000"])


def test_epochs_hold_every_scalar_of_a_record(full):
    scalars = set(EpochRecord.model_fields) - {"scores", "val_iou", "best_score"}
    assert set(full.epochs.columns) == scalars | {"trial", "best_val_miou"} | set(SCORES)
    assert len(full.epochs) == full.trials["epochs"].sum()


def test_classes_hold_one_row_per_trial_epoch_and_class(full):
    assert len(full.classes) == len(full.epochs) * len(fake_sweep.CLASSES)
    assert list(full.classes.columns) == ["trial", "epoch", "class", "iou"]
    assert tuple(full.classes["class"].head(11)) == tuple(fake_sweep.CLASSES)


def test_a_class_that_never_occurs_has_no_iou(sweep):
    trial = fake_sweep.write_trial(sweep, "0000", {}, [])
    trial.append_record(fake_sweep.record(1, val_iou=(0.5,) * 10 + (None,)))
    classes = load_sweep(sweep).classes
    assert classes["iou"].isna().tolist() == [False] * 10 + [True]


def test_a_running_sweeps_open_trials_are_running(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.2, 0.3])
    fake_sweep.write_trial(sweep, "0001", {}, [0.1, 0.25], status=None)
    sweep.files.write_state(fake_sweep.state("running", age_seconds=5, seconds=80, trials=16))
    results = load_sweep(sweep)
    assert results.state == "running"
    assert (results.num_planned, results.seconds) == (16, 80)
    assert results.trials["outcome"].tolist() == ["finished", "running"]
    assert results.trials["best_val_miou"].tolist() == [0.3, 0.25]
    assert results.trials["seconds"].tolist() == [15.0, 15.0]


@pytest.mark.parametrize(("status", "other"), [("running", "running"), ("finished", "interrupted")])
def test_a_trial_that_waits_for_a_slot_is_paused_until_it_ends(sweep, status, other):
    for number in range(3):
        fake_sweep.write_trial(sweep, f"000{number}", {}, [0.2], status=None if number else "finished")
    sweep.files.write_state(fake_sweep.state(status).model_copy(update={"paused": ("0000", "0001")}))
    results = load_sweep(sweep)
    assert results.trials["outcome"].tolist() == ["finished", "paused", other]


def test_a_running_sweep_silent_for_over_a_minute_is_interrupted(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.2], status=None)
    sweep.files.write_state(fake_sweep.state("running", age_seconds=61))
    results = load_sweep(sweep)
    assert results.state == "interrupted"
    assert results.trials["outcome"].tolist() == ["interrupted"]


def test_a_running_sweep_is_interrupted_as_soon_as_its_process_is_known_to_be_gone(sweep):
    sweep.files.write_state(fake_sweep.state("running"))
    claim = Claim(sweep.files.folder)
    claim.take()
    assert load_sweep(sweep).state == "running"
    claim.release()
    assert load_sweep(sweep).state == "interrupted"


def test_a_sweep_says_what_it_left_undone(sweep):
    sweep.files.write_state(fake_sweep.state(trials=2))
    fake_sweep.write_trial(sweep, "0000", {}, [0.2])
    assert note_texts(load_sweep(sweep), "unfinished") == [
        "The sweep ended before its trials did (1 of 2 started); --resume continues it."
    ]
    fake_sweep.write_trial(sweep, "0001", {}, [0.2])
    assert note_texts(load_sweep(sweep), "unfinished") == []
    sweep.files.write_state(fake_sweep.state("interrupted", trials=2))
    [note] = note_texts(load_sweep(sweep), "unfinished")
    assert "was interrupted" in note
    sweep.files.write_state(fake_sweep.state("running", trials=2))
    assert note_texts(load_sweep(sweep), "unfinished") == []


def test_a_single_run_that_was_interrupted_says_how_it_goes_on(tmp_path):
    run = fake_sweep.empty_sweep(tmp_path, "road", space={})
    run.files.write_state(fake_sweep.state("interrupted", trials=1))
    [note] = note_texts(load_sweep(run), "unfinished")
    assert note.endswith("; the same command with --name road --resume continues it.")


def test_a_sweep_killed_before_its_first_state_is_interrupted(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.2])
    sweep.files.folder.delete("state.json")
    results = load_sweep(sweep)
    assert results.state == "interrupted"
    assert results.seconds == results.trials["seconds"].sum()
    assert results.num_planned == 1


def test_a_trial_with_nothing_but_its_config_is_a_row_without_values(sweep):
    fake_sweep.write_trial(sweep, "0000", {"optim.lr": 0.01}, [], status=None)
    row = load_sweep(sweep).trials.iloc[0]
    assert (row["epochs"], row["seconds"], row["optim.lr"]) == (0, 0.0, 0.01)
    assert pd.isna(row["best_val_miou"])
    assert pd.isna(row["best_epoch"])


def test_a_trial_without_a_config_leaves_the_others_integers(sweep):
    fake_sweep.write_trial(sweep, "0000", {"train.batch_size": 4}, [0.2])
    sweep.files.trial("0001").append_record(fake_sweep.record(1))
    results = load_sweep(sweep)
    assert [trial["config"]["train.batch_size"] for trial in results.as_json()["trials"]] == [4, None]
    assert isinstance(results.as_json()["trials"][0]["config"]["train.batch_size"], int)


def test_a_line_cut_by_a_crash_costs_only_its_epoch(sweep, tmp_path):
    fake_sweep.write_trial(sweep, "0000", {}, [0.2, 0.3])
    path = tmp_path / "camvid/trials/0000/epochs.jsonl"
    path.write_text(path.read_text()[:-30])
    assert load_sweep(sweep).epochs["epoch"].tolist() == [1]


def test_a_sweep_without_trials_has_empty_frames_with_columns(sweep):
    results = load_sweep(sweep)
    assert results.trials.empty
    assert results.epochs["val_miou"].dtype == "float64"
    assert results.best_trial() is None
    assert results.first_trial() is None
    assert results.searched == ()
    assert results.seconds_saved() == 0.0


def test_a_sweep_is_read_from_a_url(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.2])
    assert len(load(f"file://{sweep.files.folder.path}").trials) == 1


def test_a_missing_sweep_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"no sweep\.json"):
        load(tmp_path)


def test_a_damaged_file_is_named_in_one_line(sweep):
    for damage in (b"{", b'{"name": 1}'):
        sweep.files.folder.write_bytes("sweep.json", damage)
        with pytest.raises(StorageError, match=r"camvid/sweep\.json' is damaged") as raised:
            load_sweep(sweep)
        assert "\n" not in str(raised.value)


def test_the_best_trial_is_no_failed_one(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.2])
    fake_sweep.write_trial(sweep, "0001", {}, [0.3, 0.25], status="stopped")
    fake_sweep.write_trial(sweep, "0002", {}, [0.9], status="diverged")
    results = load_sweep(sweep)
    assert results.best_trial()["id"] == "0001"
    assert results.best_trial()["best_epoch"] == 1
    assert results.first_trial()["id"] == "0000"


def test_seconds_saved_are_the_epochs_not_run_at_the_trials_own_pace(sweep):
    fake_sweep.write_trial(sweep, "0000", {"train.epochs": 10}, [0.2] * 10)
    early, late = "stopped early after epoch 4: ...", "stopped after 3 min (--trial-timeout); ..."
    fake_sweep.write_trial(sweep, "0001", {"train.epochs": 10}, [0.1] * 4, status="stopped", reason=early)
    fake_sweep.write_trial(sweep, "0002", {"train.epochs": 99}, [0.1] * 2, status="stopped", reason=early)
    fake_sweep.write_trial(sweep, "0003", {"train.epochs": 10}, [0.1], status="failed")
    fake_sweep.write_trial(sweep, "0004", {"train.epochs": 10}, [0.1] * 3, status="stopped", reason=late)
    cap = sweep.info.max_epochs
    assert load_sweep(sweep).seconds_saved() == pytest.approx(6.0 * (10 - 4) + 6.0 * (cap - 2))


def without_pole(miou):
    """Return an IoU for every class but pole, which is then in no mean."""
    return tuple(None if name == "pole" else miou for name in fake_sweep.CLASSES)


def test_the_classes_that_validation_lacks_are_noted_from_the_start(tmp_path):
    held = tuple(name for name in fake_sweep.CLASSES if name != "pole")
    results = load_sweep(fake_sweep.empty_sweep(tmp_path, val_classes=held))
    assert results.mean_text() == "mean over 10 of 11 classes"
    assert note_texts(results, "classes") == ["mIoU is the mean over 10 of 11 classes: no validation image has pole."]


def test_a_mean_over_all_classes_has_no_note(full):
    assert full.mean_text() == "mean over all 11 classes"
    assert note_texts(full, "classes") == []


@pytest.mark.parametrize(
    ("ious", "mean", "note"),
    [
        ([], "", ""),
        ([(0.3,) * 11], "mean over all 11 classes", ""),
        ([without_pole(0.3)] * 2, "mean over 10 of 11 classes", "an earlier version of segray wrote this sweep."),
        ([without_pole(0.3), (0.2,) * 11], "mean over 10 to 11 of 11 classes", "trials compare only roughly."),
    ],
)
def test_a_sweep_of_a_version_that_did_not_record_them_tells_the_classes_of_its_epochs(tmp_path, ious, mean, note):
    sweep = fake_sweep.empty_sweep(tmp_path, val_classes=())
    content = sweep.files.folder.read_json("sweep.json")
    del content["val_classes"]
    sweep.files.folder.write_json("sweep.json", content)
    trial = fake_sweep.write_trial(sweep, "0000", {}, [], status=None)
    for epoch, iou in enumerate(ious, start=1):
        trial.append_record(fake_sweep.record(epoch, 0.3, val_iou=iou))
    results = load_sweep(sweep)
    assert results.mean_text() == mean
    texts = note_texts(results, "classes")
    assert len(texts) == bool(note)
    assert "".join(texts).endswith(note)


def test_json_has_exactly_the_promised_fields(full):
    content = json.loads(json.dumps(full.as_json(), allow_nan=False))
    assert list(content) == ["sweep", "metric", "direction", "classes", "classes_in_mean", "trials"]
    assert (content["sweep"], content["metric"], content["direction"]) == ("camvid", "val_miou", "maximize")
    trial = content["trials"][5]
    assert list(trial) == ["id", "outcome", "epochs", "best_val_miou", "seconds", "drawn", "config"]
    assert trial["best_val_miou"] is None
    assert trial["config"]["data.resize_px"] == [160, 224]
    assert trial["config"]["data.crop_px"] is None


def test_a_file_deleted_while_it_is_read_counts_as_missing(sweep, monkeypatch):
    trial = fake_sweep.write_trial(sweep, "0000", {}, [0.2], status=None)
    read_bytes = Folder.read_bytes

    def deleted_just_before(folder, name):
        if name == "last.json":
            folder.delete(name)
        return read_bytes(folder, name)

    monkeypatch.setattr(Folder, "read_bytes", deleted_just_before)
    assert load_sweep(sweep).epochs["epoch"].tolist() == [1]
    assert trial.pointer("last") is None


def test_a_second_trial_that_started_before_the_first_is_no_baseline(sweep):
    fake_sweep.write_trial(sweep, "0001", {}, [0.4])
    assert load_sweep(sweep).first_trial() is None


def test_a_run_on_all_data_has_its_last_epoch_and_says_that_val_scores_are_on_training_images(tmp_path):
    base = RunConfig().with_values({"data.all_data": True}).flat()
    lineage = Lineage(gave="config", location="runs/a", title="trial 0003 of a, epoch 5, val mIoU 40.0 %")
    sweep = fake_sweep.empty_sweep(tmp_path, base=base, space={}, lineage=(lineage,))
    fake_sweep.write_trial(sweep, "0000", {}, [0.3, 0.5, 0.4])
    results = load(sweep.files.folder.path)
    best = results.best_trial()
    assert (best["best_epoch"], best["best_val_miou"]) == (3, 0.4)
    assert results.objective_label == "val mIoU (trained on)"
    [said] = fake_sweep.note_texts(results, "all_data")
    assert said.endswith("the last epoch is kept, and no figure of this run is unbiased.")
    assert fake_sweep.note_texts(results, "no_test") == []
    [origin] = fake_sweep.note_texts(results, "lineage")
    assert origin == "The config is that of trial 0003 of a, epoch 5, val mIoU 40.0 % (runs/a)."
    content = results.as_json()
    assert content["val_images_train"] is True
    assert content["lineage"][0]["location"] == "runs/a"
    sweep.files.write_splits(fake_sweep.splits(num_test=5))
    sweep.files.write_test_scores(fake_sweep.scores(epoch=3))
    results = load(sweep.files.folder.path)
    [said] = fake_sweep.note_texts(results, "all_data")
    assert said.endswith("only test scores are unbiased.")
    [said] = fake_sweep.note_texts(results, "test")
    assert said.startswith("The 5 test images chose no trial; on them it has 38.0 % mIoU")


def test_a_search_says_what_it_knew_before_it_began(tmp_path):
    sweep = fake_sweep.empty_sweep(tmp_path, warm_start=("runs/a", "portfolio"))
    [said] = fake_sweep.note_texts(load(sweep.files.folder.path), "lineage")
    assert said.startswith("The search had a warm start from runs/a, portfolio: ")


def test_other_runs_say_nothing_of_all_data(tmp_path):
    sweep = fake_sweep.empty_sweep(tmp_path)
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    results = load(sweep.files.folder.path)
    assert fake_sweep.note_texts(results, "all_data", "lineage") == []
    assert not {"lineage", "val_images_train"} & results.as_json().keys()
