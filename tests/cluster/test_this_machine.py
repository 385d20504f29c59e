"""What is known of this machine before Ray starts."""

import os
from types import SimpleNamespace

import pytest
from ray._private.thirdparty import pynvml

from segray.cluster.connection import Connection
from segray.cluster.ray_internals import largest_gpu_bytes, this_machine


def test_it_has_what_ray_would_find(monkeypatch):
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", '{"GPU": 3}')
    found = this_machine()
    assert found["GPU"] == 3
    assert 1 <= found["CPU"] <= os.cpu_count()
    assert found["memory"] > 1e8


@pytest.fixture
def gpus(monkeypatch):
    """Two GPUs of different sizes, the second without an answer if it is told so."""

    def memory(number):
        if number in silent:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(total=(number + 1) * 10**9)

    silent = set()
    for name, function in {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda number: number,
        "nvmlDeviceGetMemoryInfo": memory,
    }.items():
        monkeypatch.setattr(pynvml, name, function)
    return silent


def test_the_largest_gpu_counts_if_all_say_how_large_they_are(gpus):
    assert largest_gpu_bytes() == 2 * 10**9
    gpus.add(1)
    assert largest_gpu_bytes() is None


def test_gpus_of_other_nodes_are_not_known(gpus, monkeypatch):
    connection = Connection()
    nodes = [{"GPU": 1.0}]
    monkeypatch.setattr(connection, "nodes", lambda: nodes)
    assert connection.gpu_bytes() == 2 * 10**9
    nodes.append({"CPU": 2.0})
    assert connection.gpu_bytes() is None
