"""One trial from config to files, without Ray."""

import pytest

from segray.config import RunConfig
from segray.data.synthetic import write_cityscapes
from segray.engine.endings import Interrupted
from segray.engine.trial import TrialLog, per_rank_batch_size, train_trial
from segray.errors import ConfigError
from segray.storage import TRAINING_STATE, open_sweep

EPOCHS = 3


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_cityscapes(root / "scenes", train=8, val=5, size_px=(64, 64), seed=0)
    return RunConfig().with_values(
        {
            "data.root": str(root / "scenes"),
            "data.cache_dir": str(root / "cache"),
            "model.encoder": "tu-test_resnet",
            "model.encoder_weights": "none",
            "train.batch_size": 4,
            "train.epochs": EPOCHS,
            "train.ema_decay": 0.9,
        }
    )


@pytest.fixture
def files(tmp_path):
    return open_sweep(tmp_path / "sweep").trial("0000")


class Reporter:
    """Keeps what it hears; says no after ``stop_after`` epochs, interrupts in the epoch after ``interrupt_after``."""

    def __init__(self, stop_after=None, interrupt_after=None):
        self.records, self.finals = [], []
        self.stop_after, self.interrupt_after = stop_after, interrupt_after

    def hand_over(self, record, final):
        self.records.append(record)
        self.finals.append(final)
        return record.epoch != self.stop_after

    def interrupted(self):
        return self.interrupt_after is not None and len(self.records) >= self.interrupt_after


def train(config, files, reporter=None, attempt=1):
    reporter = reporter or Reporter()
    train_trial(config, files, reporter, log=TrialLog(files.folder), attempt=attempt)
    return reporter


def same(records):
    """What of records does not depend on time, memory or attempt."""
    timed = {"epoch_seconds", "images_per_second", "peak_memory_bytes", "attempt"}
    return [record.model_dump(exclude=timed) for record in records]


def test_a_trial_hands_over_every_epoch_and_says_which_is_the_last(config, files):
    reporter = train(config, files)
    assert [record.epoch for record in reporter.records] == [1, 2, 3]
    assert reporter.finals == [False, False, True]
    assert files.records() == reporter.records
    assert len(files.folder.names("samples")) == 4
    assert files.folder.read_bytes("log.txt").count(b"\n") == EPOCHS + 1


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


def test_a_batch_must_divide_among_the_workers():
    config = RunConfig().with_values({"train.batch_size": 6})
    assert per_rank_batch_size(config, 3) == 2
    with pytest.raises(ConfigError, match="batch 6 with 4 workers"):
        per_rank_batch_size(config, 4)
