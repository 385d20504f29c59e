"""One trial from config to files, without Ray."""

import pytest
import torch

from segray.config import RunConfig
from segray.data.preparation import prepare
from segray.data.splits.split_record import record_splits
from segray.engine import properties, run_parts, trial_data
from segray.engine import trial as trial_module
from segray.engine.batch_size import max_micro_batches, per_rank_batch_size, val_batch_size
from segray.engine.endings import Infeasible, Interrupted
from segray.engine.trial import train_trial
from segray.errors import ConfigError, DataError, StorageError
from segray.folder import Folder
from segray.goals import find_goals
from segray.models import build_model
from segray.storage import open_sweep
from segray.trial_files import TRAINING_STATE
from segray.trial_log import TrialLog

EPOCHS = 3


@pytest.fixture
def config(scenes_config):
    return scenes_config.with_values({"train.epochs": EPOCHS, "train.ema_decay": 0.9})


@pytest.fixture
def files(tmp_path):
    return open_sweep(tmp_path / "sweep").trial("0000")


class Reporter:
    """A reporter that keeps the records, stops after ``stop_after`` epochs and interrupts after ``interrupt_after``."""

    def __init__(self, stop_after=None, interrupt_after=None):
        self.records, self.finals = [], []
        self.stop_after, self.interrupt_after = stop_after, interrupt_after

    def hand_over(self, record, final):
        self.records.append(record)
        self.finals.append(final)
        return record.epoch != self.stop_after

    def interrupted(self):
        return self.interrupt_after is not None and len(self.records) >= self.interrupt_after


def train(config, files, reporter=None, **options):
    reporter = reporter or Reporter()
    train_trial(config, files, reporter, log=TrialLog(files.folder), **options)
    return reporter


def same(records):
    """Return the records without the fields that depend on time, memory or attempt."""
    timed = {"epoch_seconds", "images_per_second", "peak_memory_bytes", "attempt"}
    return [record.model_dump(exclude=timed) for record in records]


def test_a_trial_hands_over_every_epoch_and_says_which_is_the_last(config, files):
    reporter = train(config, files)
    assert [record.epoch for record in reporter.records] == [1, 2, 3]
    assert reporter.finals == [False, False, True]
    assert files.records() == reporter.records
    samples = files.folder.names("samples")
    assert sum(name.endswith("_prediction.png") for name in samples) == 4
    [stem] = {name.partition("_epoch_")[0] for name in samples if "_epoch_" in name}
    assert [name.removeprefix(stem) for name in samples if "_epoch_" in name] == [
        "_epoch_0001.png",
        "_epoch_0002.png",
        "_epoch_0003.png",  # the last epoch
    ]
    assert files.folder.read_bytes("log.txt").count(b": train loss ") == EPOCHS


def test_what_is_said_while_the_data_is_prepared_is_in_the_log(config, files, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(trial_data, "gather_over_ranks", lambda own: [own, ("node2", [*own[1], "no room"])])
    config = config.with_values({"data.cache_dir": str(tmp_path / "cold")})
    train(config, files, Reporter(stop_after=1))
    log = files.folder.read_bytes("log.txt").decode()
    assert log.count(" decoding cityscapes") == 1
    assert log.splitlines()[1].endswith(" node2: no room")
    assert capsys.readouterr().out == ""


def test_checkpoints_are_the_last_and_the_best_and_the_finished_one_needs_no_optimiser(config, files):
    reporter = train(config, files)
    best = reporter.records[-1].best_epoch
    assert files.folder.names("checkpoints") == sorted({f"{best}-1", "3-1"})
    assert TRAINING_STATE not in files.folder.names("checkpoints/3-1")


def test_a_trial_that_is_told_to_stop_stops(config, files):
    assert len(train(config, files, Reporter(stop_after=1)).records) == 1


def test_an_interrupted_trial_continues_as_if_never_interrupted(config, files, tmp_path):
    whole = train(config, open_sweep(tmp_path / "whole").trial("0000"))
    with pytest.raises(Interrupted):
        train(config, files, Reporter(interrupt_after=2))
    assert [record.epoch for record in files.records()] == [1, 2]
    resumed = train(config, files, attempt=2)
    assert [record.attempt for record in files.records()] == [1, 1, 2]
    assert same(files.records()) == same(whole.records)
    assert resumed.finals == [True]


def test_a_record_lost_between_checkpoint_and_file_is_written_by_the_next_attempt(config, files):
    train(config, files, Reporter(stop_after=1))
    files.folder.delete("epochs.jsonl")
    train(config, files, attempt=2)
    files.folder.delete("last.json")
    assert [record.epoch for record in files.records()] == [1, 2, 3]


def test_a_trial_whose_last_word_was_lost_says_it_again_without_training(config, files):
    train(config, files)
    again = train(config, files, attempt=2)
    assert [(record.epoch, record.attempt) for record in again.records] == [(3, 1)]
    assert again.finals == [True]


def test_a_trial_without_a_readable_last_pointer_goes_on_from_its_best_checkpoint(config, files, tmp_path):
    whole = train(config, open_sweep(tmp_path / "whole").trial("0000"))
    train(config, files, Reporter(stop_after=2))
    best = files.pointer("best").record.epoch
    files.folder.write_bytes("last.json", b"")
    resumed = train(config, files)
    assert [record.epoch for record in resumed.records] == list(range(best + 1, EPOCHS + 1))
    assert {record.attempt for record in resumed.records} == {2}
    assert same(files.records()) == same(whole.records)
    assert b"its last.json is damaged" in files.folder.read_bytes("log.txt")


def test_a_trial_whose_checkpoints_are_damaged_starts_afresh(config, files, tmp_path):
    name = TRAINING_STATE
    whole = train(config, open_sweep(tmp_path / "whole").trial("0000"))
    train(config, files, Reporter(stop_after=2))
    for checkpoint in files.folder.names("checkpoints"):
        path = f"checkpoints/{checkpoint}/{name}"
        files.folder.write_bytes(path, files.folder.read_bytes(path)[:100])
    resumed = train(config, files, attempt=2)
    assert [record.epoch for record in resumed.records] == [1, 2, 3]
    assert same(files.records()) == same(whole.records)
    log = files.folder.read_bytes("log.txt").decode()
    assert f"cannot be used: its {name} is damaged" in log
    assert "no checkpoint can be used: the trial starts afresh" in log


def test_a_damaged_best_pointer_is_written_again(config, files):
    train(config, files, Reporter(stop_after=2))
    best = files.pointer("best")
    files.folder.write_bytes("best.json", b"")
    train(config, files, Reporter(stop_after=3), attempt=2)
    assert files.pointer("best") is not None
    assert files.pointer("best").record.best_score >= best.record.best_score
    assert b"its best.json is damaged" in files.folder.read_bytes("log.txt")


def test_storage_that_is_away_for_a_moment_costs_no_checkpoint(config, files, monkeypatch):
    train(config, files, Reporter(stop_after=2))
    kept = files.folder.names("checkpoints")

    def away(folder, name):
        raise StorageError("the storage does not answer")

    monkeypatch.setattr(Folder, "read_bytes", away)
    with pytest.raises(StorageError, match="does not answer"):
        train(config, files, attempt=2)
    assert files.folder.names("checkpoints") == kept


def test_a_trial_trains_on_the_sweeps_images_alone(config, files):
    splits = record_splits(config.data)
    moved = splits.model_copy(update={"train": splits.train | splits.val, "val": {}})
    with pytest.raises(DataError, match=r"5 images are on another side: \S+ \(train to val\)"):
        train(config, files, splits=moved)
    assert files.records() == []
    assert train(config, files, Reporter(stop_after=1), splits=splits).records


def test_a_batch_must_have_an_image_for_every_worker():
    config = RunConfig().with_values({"train.batch_size": 5})
    assert [per_rank_batch_size(config, workers) for workers in (1, 2, 5)] == [5, 2, 1]
    with pytest.raises(ConfigError, match="batch 5 with 6 workers"):
        per_rank_batch_size(config, 6)


@pytest.fixture
def loaders(monkeypatch):
    """Record the options of both loaders, which load in this process whatever number of workers is asked for."""
    asked = {}

    def spy(name):
        build = getattr(run_parts, name)

        def loader(*data, **options):
            asked[name] = options
            return build(*data, **{**options, "num_workers": 0})

        monkeypatch.setattr(run_parts, name, loader)

    spy("train_loader")
    spy("val_loader")
    return asked


def test_a_trial_lies_where_it_is_told(config, files, monkeypatch):
    devices = []

    def build_state(config, label_space, steps_per_epoch, device):
        devices.append(device)
        raise Interrupted

    monkeypatch.setattr(trial_module, "build_state", build_state)
    for options in ({}, {"device": torch.device("meta")}):
        with pytest.raises(Interrupted):
            train(config, files, **options)
    assert devices == [torch.device("cpu"), torch.device("meta")]


@pytest.mark.parametrize(("crop_px", "images", "expected"), [(None, 4, 4), ([32, 64], 4, 2), ([32, 32], 3, 1)])
def test_a_validation_batch_has_no_more_pixels_than_a_training_batch(config, crop_px, images, expected):
    config = config.with_values({"data.crop_px": crop_px})
    assert val_batch_size(config.data, prepare(config.data), images) == expected


def test_validation_batches_shrink_with_the_micro_batches(config, files, loaders):
    train(config, files, Reporter(stop_after=1), micro_batches=3)
    assert loaders["train_loader"]["batch_size"] == 4
    assert loaders["val_loader"]["batch_size"] == 2


@pytest.mark.parametrize(("available", "taken"), [(0, 0), (1, 1), (7, 2)])
def test_validation_starts_two_loader_processes_at_most(config, files, loaders, available, taken):
    train(config, files, Reporter(stop_after=1), num_loader_workers=available)
    assert loaders["train_loader"]["num_workers"] == available
    assert loaders["val_loader"]["num_workers"] == taken


@pytest.mark.parametrize(
    ("arch", "batch_size", "most"), [("Unet", 5, 5), ("DeepLabV3Plus", 5, 2), ("DeepLabV3Plus", 1, 1)]
)
def test_a_batch_is_split_into_parts_that_the_architecture_can_train_on(config, arch, batch_size, most):
    values = {"model.arch": arch, "model.encoder": "tu-test_efficientnet", "train.batch_size": batch_size}
    assert max_micro_batches(config.with_values(values)) == most


class DeterminismSpy(Reporter):
    def hand_over(self, record, final):
        self.seen = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
        return super().hand_over(record, final)


def test_kernels_are_deterministic_where_asked_for_and_for_that_trial_alone(config, files, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    one_epoch = config.with_values({"train.epochs": 1})
    asking = train(one_epoch.with_values({"train.deterministic": True}), files, DeterminismSpy())
    assert asking.seen == (True, False)
    with pytest.raises(Interrupted):
        train(
            config.with_values({"train.deterministic": True}),
            open_sweep(tmp_path / "interrupted").trial("0000"),
            Reporter(interrupt_after=0),
        )
    after = train(one_epoch, open_sweep(tmp_path / "after").trial("0000"), DeterminismSpy())
    assert after.seen == (False, True)
    assert same(after.records) == same(asking.records)


def test_properties_are_in_each_record_and_stay_when_a_trial_goes_on(config, files, monkeypatch):
    goals = find_goals(["val_miou", "latency_ms"], ["params <= 20e6", "peak_memory_mb <= 1e6"])
    train(config, files, Reporter(stop_after=1), goals=goals)
    # A latency beside other work is never the same twice, so a trial that goes on does not measure again.
    monkeypatch.setattr(properties, "measure_properties", None)
    records = train(config, files, goals=goals).records
    network = build_model(config.model, 19)
    first, *others = files.records()
    assert first.scores["params"] == sum(parameter.numel() for parameter in network.parameters())
    assert 0.01 < first.scores["latency_ms"] < 10_000
    assert "flops" not in first.scores
    assert all(record.scores["latency_ms"] == first.scores["latency_ms"] for record in others)
    assert first.scores["peak_memory_mb"] == pytest.approx(first.peak_memory_bytes / 1e6)
    assert records[-1].epoch == EPOCHS


def test_a_trial_that_breaks_a_constraint_ends_before_its_first_epoch(config, files):
    with pytest.raises(Infeasible, match=r"params must be <= 1e-05\sM, but is 2\.3\sM"):
        train(config, files, goals=find_goals(["val_miou"], ["params <= 10"]))
    assert files.records() == []


def test_a_trial_that_needs_too_much_memory_ends_with_its_first_epoch(config, files):
    with pytest.raises(Infeasible, match=r"peak_memory_mb must be < 1\sMB, but is "):
        train(config, files, goals=find_goals(["val_miou"], ["peak_memory_mb < 1"]))
    assert files.records() == []
