import sys
from pathlib import Path

import pytest
import torch
from tiny_run import CPU, start, tiny_config, tiny_state

from segray.engine import memory
from segray.engine.memory import PeakMemory

MIB = 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone lets a process forget its peak")
def test_the_peak_is_that_of_the_run_and_not_of_one_before():
    first = PeakMemory(CPU)
    large = torch.ones(400 * MIB, dtype=torch.uint8)
    del large
    with_large = first.num_bytes()
    assert 10 * MIB < PeakMemory(CPU).num_bytes() < with_large - 300 * MIB


def test_where_a_process_cannot_forget_its_peak_there_is_none(monkeypatch):
    monkeypatch.setattr(memory, "_PROCESS", Path("/nowhere"))
    assert PeakMemory(CPU).num_bytes() is None


def test_a_record_has_the_peak():
    [record] = start(tiny_state(tiny_config(train__epochs=1)))
    assert record.peak_memory_bytes == pytest.approx(PeakMemory(CPU).num_bytes(), rel=0.5)
