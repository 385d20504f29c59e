"""Tests that need a GPU: pinned batches from loader processes, resuming, and memory after an out-of-memory error."""

import gc

import pytest
import torch

from segray.engine.trial import train_trial
from segray.storage import open_sweep
from segray.trial_log import TrialLog

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

EPOCHS = 2


@pytest.fixture
def config(scenes_config):
    return scenes_config.with_values({"train.precision": "float32", "train.epochs": EPOCHS})


class Reporter:
    """A reporter that keeps the records, and stops after the first epoch if ``stop`` is set."""

    def __init__(self, stop=False):
        self.records, self.stop = [], stop

    def hand_over(self, record, final):
        self.records.append(record)
        return not self.stop

    def interrupted(self):
        return False


class Greedy(Reporter):
    """A reporter that asks for more memory than the GPU has while model and optimiser are in memory."""

    def hand_over(self, record, final):
        torch.empty(2**50, dtype=torch.uint8, device="cuda")


def train(config, folder, reporter, device="cuda:0", **options):
    files = open_sweep(folder).trial("0000")
    train_trial(config, files, reporter, log=TrialLog(files.folder), device=torch.device(device), **options)
    return reporter.records


def allocated_bytes():
    gc.collect()
    torch.cuda.empty_cache()
    return torch.cuda.memory_allocated()


def test_a_trial_with_loader_processes_is_resumed(config, tmp_path):
    whole = train(config, tmp_path / "whole", Reporter(), num_loader_workers=2)
    train(config, tmp_path / "resumed", Reporter(stop=True), num_loader_workers=2)
    [resumed] = train(config, tmp_path / "resumed", Reporter(), num_loader_workers=2, attempt=2)
    assert (resumed.epoch, resumed.attempt) == (2, 2)
    assert resumed.learning_rate == whole[1].learning_rate
    assert resumed.train_loss == pytest.approx(whole[1].train_loss, rel=0.05)
    assert resumed.peak_memory_bytes > 0


def test_a_trial_that_is_given_no_gpu_takes_none(config, tmp_path):
    torch.cuda.init()
    before = allocated_bytes()
    torch.cuda.reset_peak_memory_stats()
    train(config, tmp_path, Reporter(stop=True), device="cpu")
    assert torch.cuda.max_memory_allocated() == before


def test_a_trial_that_ran_out_of_memory_leaves_it_free(config, tmp_path):
    train(config, tmp_path / "before", Reporter(stop=True))
    before = allocated_bytes()
    with pytest.raises(torch.OutOfMemoryError):
        train(config, tmp_path / "greedy", Greedy())
    assert allocated_bytes() <= before
