from pathlib import Path

import fake_sweep
import pytest
from pyarrow import fs as pafs

from segray.errors import StorageError
from segray.folder import Folder, location_below, open_folder, split_location
from segray.foreign import parse_json
from segray.records import CheckpointPointer, EpochRecord, Outcome, SweepState
from segray.storage import SweepFiles, open_sweep
from segray.trial_files import TrialFiles


def record(epoch, attempt=1, miou=0.5):
    return EpochRecord(
        epoch=epoch,
        attempt=attempt,
        train_loss=1.0,
        scores={"val_loss": 1.0, "val_miou": miou, "val_iou/road": miou},
        learning_rate=1e-3,
        images_per_second=10.0,
        epoch_seconds=2.0,
        peak_memory_bytes=1,
        best_score=miou,
        best_epoch=epoch,
    )


@pytest.fixture(params=["local", "object store"])
def folder(request, tmp_path):
    local = open_folder(tmp_path / "sweep")
    if request.param == "local":
        return local
    filesystem, path = pafs._MockFileSystem(), "bucket/sweep"
    filesystem.create_dir("bucket/sweep")
    return Folder(filesystem, path)


@pytest.fixture
def trial(folder):
    return TrialFiles("0000", folder.child("trials/0000"))


def test_records_come_back_by_epoch_and_the_later_attempt_wins(trial):
    for item in (record(1), record(2), record(2, attempt=2, miou=0.7), record(3, attempt=2)):
        trial.append_record(item)
    assert [(r.epoch, r.attempt) for r in trial.records()] == [(1, 1), (2, 2), (3, 2)]
    assert trial.records()[1].scores["val_miou"] == 0.7


def test_a_record_that_only_the_checkpoint_kept_is_found(trial):
    trial.append_record(record(1))
    trial.write_pointer("last", CheckpointPointer(checkpoint="checkpoints/2-1", record=record(2), seconds=9.0))
    assert [r.epoch for r in trial.records()] == [1, 2]


def test_a_line_cut_by_a_crash_is_left_out(tmp_path):
    trial = TrialFiles("0000", open_folder(tmp_path))
    trial.append_record(record(1))
    with (tmp_path / "epochs.jsonl").open("a") as file:
        file.write(record(2).model_dump_json()[:40])
    assert [r.epoch for r in trial.records()] == [1]
    trial.append_record(record(3))
    assert [r.epoch for r in trial.records()] == [1, 3]


def test_what_is_not_there_yet_is_none(folder, trial):
    assert trial.outcome() is None
    assert trial.config() is None
    assert trial.pointer("best") is None
    assert trial.records() == []
    assert SweepFiles(folder).state() is None
    assert SweepFiles(folder).trials() == []


def test_state_and_outcome_round_trip(folder, trial):
    state = SweepState(status="running", updated_at=5.0, seconds=1.0, trials=3)
    SweepFiles(folder).write_state(state)
    assert SweepFiles(folder).state() == state
    outcome = Outcome(status="failed", reason="why", traceback="Traceback ...", epochs=1)
    trial.finish(outcome)
    assert trial.outcome() == outcome
    assert [t.id for t in SweepFiles(folder).trials()] == ["0000"]


def train(trial, best_epoch):
    """Write the files that three epochs leave."""
    for epoch in (1, 2, 3):
        trial.folder.write_bytes(f"checkpoints/{epoch}-1/model.safetensors", b"weights")
        trial.folder.write_bytes(f"checkpoints/{epoch}-1/training.pt", b"optimiser")
        pointer = CheckpointPointer(checkpoint=f"checkpoints/{epoch}-1", record=record(epoch), seconds=1.0)
        trial.write_pointer("last", pointer)
        if epoch == best_epoch:
            trial.write_pointer("best", pointer)
    trial.drop_old_checkpoints()


def test_a_finished_trial_keeps_its_best_checkpoint_alone(trial):
    train(trial, best_epoch=2)
    assert trial.folder.names("checkpoints") == ["2-1", "3-1"]
    trial.finish(Outcome(status="finished"))
    assert trial.folder.names("checkpoints") == ["2-1"]
    assert trial.folder.names("checkpoints/2-1") == ["model.safetensors"]
    assert trial.pointer("last") is None


@pytest.mark.parametrize("best_epoch", [2, 3])
def test_a_failed_trial_keeps_what_it_can_go_on_from(trial, best_epoch):
    train(trial, best_epoch)
    trial.finish(Outcome(status="failed", reason="its node was lost"))
    assert trial.is_over()
    assert not trial.is_over(retry_failed=True)
    assert trial.pointer("last").record.epoch == 3
    assert "training.pt" in trial.folder.names("checkpoints/3-1")
    assert best_epoch == 3 or trial.folder.names("checkpoints/2-1") == ["model.safetensors"]
    trial.reopen()
    assert not trial.is_over()
    assert "taken up again; it had failed: its node was lost" in trial.folder.read_bytes("log.txt").decode()


@pytest.mark.parametrize("status", ["finished", "stopped", "diverged", "out_of_memory"])
def test_what_ended_by_its_own_config_is_not_retried(trial, status):
    trial.finish(Outcome(status=status))
    assert trial.is_over(retry_failed=True)


def test_splits_and_test_scores_round_trip(folder):
    sweep, splits, scores = SweepFiles(folder), fake_sweep.splits(num_test=2), fake_sweep.scores()
    assert (sweep.splits(), sweep.test_scores()) == (None, None)
    sweep.write_splits(splits)
    sweep.write_test_scores(scores)
    assert (sweep.splits(), sweep.test_scores()) == (splits, scores)


def test_delete_takes_files_and_folders_and_missing_names(folder):
    folder.write_bytes("a/b", b"1")
    folder.write_bytes("a/c", b"2")
    folder.delete("a/b")
    assert folder.names("a") == ["c"]
    folder.delete("a")
    folder.delete("a")
    assert not folder.exists("a")


def test_a_folder_without_a_sweep_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"no sweep\.json"):
        open_sweep(tmp_path).info()


def test_unknown_scheme_is_refused():
    with pytest.raises(StorageError, match="cannot open storage"):
        open_folder("ftp8://bucket/x")


def test_a_sweep_below_a_path_or_a_url_with_a_query():
    assert location_below("runs/", "camvid") == "runs/camvid"
    assert location_below("runs?", "camvid") == "runs?/camvid"
    assert location_below("s3://bucket/runs?region=eu-west-1", "camvid") == "s3://bucket/runs/camvid?region=eu-west-1"


@pytest.mark.parametrize(
    ("location", "parts"),
    [
        ("runs/camvid/", ("runs", "camvid")),
        ("camvid", (".", "camvid")),
        ("/camvid", ("/", "camvid")),
        ("~/runs/camvid", ("~/runs", "camvid")),
        ("s3://bucket/runs/camvid/?region=eu-west-1", ("s3://bucket/runs?region=eu-west-1", "camvid")),
        (".", (str(Path.cwd().parent), Path.cwd().name)),
    ],
)
def test_the_folder_above_a_sweep_and_its_name(location, parts):
    assert split_location(location) == parts


def test_a_damaged_file_that_nothing_can_replace_is_a_clear_error(folder):
    folder.write_bytes("splits.json", b"{")
    with pytest.raises(StorageError, match=r"splits\.json' is damaged"):
        SweepFiles(folder).splits()


def test_repeats_are_listed_apart_from_the_trials(tmp_path):
    sweep = open_sweep(tmp_path / "s")
    for name in ("0007", "0007-seed2-epochs6", "0007-seed10-epochs6", "0000-seed1-epochs6", "0007-seed", "notes"):
        (tmp_path / "s" / "trials" / name).mkdir(parents=True)
    assert [trial.id for trial in sweep.trials()] == ["0007"]
    assert [(repeat.trial, repeat.seed, repeat.epochs) for repeat in sweep.repeats()] == [
        ("0000", 1, 6),
        ("0007", 2, 6),
        ("0007", 10, 6),
    ]
    assert [files.id for files in sweep.repeats().values()] == [repeat.id for repeat in sweep.repeats()]


@pytest.mark.parametrize("content", [b'{"reason": "\\ud800"}', b'{"\\udfff": 1}', b'["\xed\xa0\x80"]'])
def test_half_a_character_is_no_text(content):
    with pytest.raises(ValueError, match="half of a surrogate pair"):
        parse_json(content)


def test_a_whole_character_of_two_halves_is_text():
    assert parse_json(rb'{"reason": "\ud83d\ude97"}') == {"reason": "\N{AUTOMOBILE}"}


def test_a_path_with_a_nul_character_is_refused_without_its_password():
    with pytest.raises(StorageError, match=r"without NUL characters, but got 's3://\*+@"):
        open_folder("s3://name:secret@\0")


def test_a_path_of_nobodys_home_is_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_folder("~nobody-of-this-name/runs").path == f"{tmp_path}/~nobody-of-this-name/runs"
