import ctypes
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
import ray
from ray.exceptions import GetTimeoutError

from segray.cluster import group as group_module
from segray.cluster.channel import Channel
from segray.cluster.group import WarmGroup
from segray.cluster.limits import Limits
from segray.cluster.messages import Task
from segray.cluster.resources import Plan
from segray.folder import open_folder

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


def test_a_slots_own_processes_do_without_torch():
    code = "import sys, segray.tuning.run.slot; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def cluster():
    # Where another program holds the dashboard's port, Ray leaves a socket open, whose warning fails a later test.
    ray.init("local", num_cpus=1, log_to_driver=False, include_dashboard=False)
    yield
    ray.shutdown()


def start_group(sweep: Any):
    """Start a group that takes a trial of the sweep; return the group and its channel."""
    channel = ray.remote(num_cpus=0)(Channel).remote()
    plan = Plan(
        workers_per_trial=1, cpus_per_worker=1, gpus_per_worker=0, slots=1, total_cpus=1, total_gpus=0, num_nodes=1
    )
    group = WarmGroup(channel, sweep, plan, Limits())
    group.submit(Task("0000", {}))
    return group, channel


def next_message(group, channel):
    try:
        return ray.get(channel.next_message.remote(group.slot), timeout=600)
    except GetTimeoutError:
        pytest.fail("the trial waits for ever")


WAYS_TO_DIE = {
    "ended with exit code 3": lambda: os._exit(3),
    "ended with SIGSEGV (signal 11)": lambda: ctypes.string_at(0),
    "ended without a word, as after SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
}


class DeadlySweep:
    """A sweep whose trials kill their workers, each attempt in another way."""

    name = "deadly"

    def __init__(self, notes):
        self.folder = open_folder(notes)
        self.notes = notes

    def trial(self, _):
        number = len(list(self.notes.iterdir()))
        (self.notes / str(number)).touch()
        list(WAYS_TO_DIE.values())[number]()


def broken_loop(config):
    """Fail before the worker asks for a trial."""
    from segray.cluster.group import _worker_loop

    _worker_loop({**config, "unknown": "no such setting"})


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")
def test_workers_deaths_are_told_with_their_cause_and_last_words(cluster, tmp_path):
    group, channel = start_group(DeadlySweep(tmp_path))
    deaths = [next_message(group, channel) for _ in WAYS_TO_DIE]
    for number, (death, how) in enumerate(zip(deaths, WAYS_TO_DIE, strict=True)):
        assert death.log.startswith(f"attempt {number + 1} ended: the worker {how}")
    assert "in string_at" in deaths[1].log, "faulthandler's stack is missing"
    end = next_message(group, channel)
    assert end.status == "failed"
    assert "died 3 times in a row before an epoch was done: the worker ended without a word" in end.reason
    group.close(timeout_seconds=120)
    assert not group.is_alive


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")
def test_a_group_whose_workers_cannot_start_is_given_up_and_says_why(cluster, monkeypatch):
    monkeypatch.setattr(group_module, "_worker_loop", broken_loop)
    group, channel = start_group(None)
    end = next_message(group, channel)
    assert end.status == "failed"
    assert "could not be kept running: TypeError" in end.reason
    assert "Traceback" in end.traceback
    group.close(timeout_seconds=10)
    assert not group.is_alive
