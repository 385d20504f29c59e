"""What a few timed steps say of a run, beside the run itself."""

import time

import pytest
import torch

from segray.data.preparation import prepare
from segray.engine import probe as probe_module
from segray.engine.probe import probe
from segray.engine.trial import train_trial
from segray.storage import open_sweep
from segray.trial_files import TRAINING_STATE
from segray.trial_log import TrialLog

CPU = torch.device("cpu")


@pytest.fixture
def config(scenes_config):
    return scenes_config.with_values({"model.name": "tiny", "train.ema_decay": 0.9, "train.epochs": 4})


class Reporter:
    def __init__(self):
        self.records = []

    def hand_over(self, record, final):
        self.records.append(record)
        return record.epoch < 3

    def interrupted(self):
        return False


def sizes(folder):
    return {name: len(folder.read_bytes(name)) for name in folder.names()}


def test_time_and_size_are_those_of_a_real_run(config, tmp_path, monkeypatch):
    # CPU time: other processes of the machine must not count.
    monkeypatch.setattr(time, "perf_counter", time.process_time)
    data = prepare(config.data)
    measured = probe(config, data, CPU)
    files, reporter = open_sweep(tmp_path / "sweep").trial("0000"), Reporter()
    train_trial(config, files, reporter, log=TrialLog(files.folder))

    # The first epoch warms up.
    seconds = min(record.epoch_seconds for record in reporter.records[1:])
    steps = len(data.train) // config.train.batch_size * (measured.load_seconds + measured.step_seconds)
    predicted = steps + len(data.val) * measured.val_image_seconds
    assert seconds / 3 < predicted < 3 * seconds
    last = sizes(files.folder.child(files.pointer("last").checkpoint))
    training_bytes = last.pop(TRAINING_STATE)
    assert measured.model_bytes == sum(last.values())
    assert measured.training_bytes == pytest.approx(training_bytes, rel=0.01)


def test_a_run_shorter_than_the_probe_and_a_batch_that_must_be_split_are_measured_too(config, monkeypatch):
    config = config.with_values({"train.epochs": 1, "train.batch_size": 8, "optim.schedule": "onecycle"})
    monkeypatch.setattr(probe_module, "NUM_STEPS", 1)
    build = probe_module.build_step

    def out_of_memory_below_four(config, data, device, micro_batches):
        if micro_batches < 4:
            raise torch.OutOfMemoryError
        return build(config, data, device, micro_batches)

    monkeypatch.setattr(probe_module, "build_step", out_of_memory_below_four)
    measured = probe(config, prepare(config.data), CPU, num_workers=2)
    assert (measured.batch_size, measured.micro_batches) == (4, 4)
    # A batch of two images has no four parts.
    with pytest.raises(torch.OutOfMemoryError):
        probe(config, prepare(config.data), CPU, num_workers=4)
