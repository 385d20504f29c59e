"""Hundreds of short trials on a cluster of two nodes in which something dies every half minute."""

import json
import math
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import optuna
import pytest
from ray.cluster_utils import Cluster

from segray.results import load

TRIALS = int(os.environ.get("SEGRAY_SOAK_TRIALS", "500"))
MOST_SECONDS = 30 * 60
FAULT_SECONDS = 30
HEAD_CPUS, LOST_CPUS = 6, 2
"""A slot each. The lost node is small: starting a slot again takes 15 s of CPU time."""

MARK = "SEGRAY_TEST_CLUSTER"
PROCESS_NAMES = {"worker": "ray::RayTrainWorker", "controller": "ray::TrainController", "slot": "ray::_Inner"}

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(2 * MOST_SECONDS),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Two nodes on this machine: the driver and its channel are on the first, and only the second is ever lost."""
    monkeypatch.setenv(MARK, str(tmp_path))
    # What Ray's agents measure of each process every 5 s takes a quarter of a core here.
    monkeypatch.setenv("REPORTER_UPDATE_INTERVAL_MS", "60000")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": HEAD_CPUS, "include_dashboard": False})
    cluster.add_node(num_cpus=LOST_CPUS)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    yield cluster
    cluster.shutdown()


def processes(name):
    """Ids of the living processes of this test's cluster whose command line holds a name, oldest first."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            is_ours = f"{MARK}={os.environ[MARK]}".encode() in (folder / "environ").read_bytes()
            is_alive = ") Z" not in (folder / "stat").read_text()
        except OSError:
            continue
        if is_ours and is_alive and name in command:
            found.append(int(folder.name))
    return sorted(found)


def memory_mb(pid):
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


class Soak:
    """Kills a worker, a controller, a slot and a node in turn, and weighs what lives as long as the sweep."""

    def __init__(self, cluster, running):
        self._cluster, self._running = cluster, running
        self._kinds = cycle([*PROCESS_NAMES, "node"])
        self._next_fault = math.inf
        self.started = time.monotonic()
        self.faults, self.memory = Counter(), {}

    def run(self):
        while self._running.process.poll() is None:
            assert time.monotonic() - self.started < MOST_SECONDS, f"still running; {self.faults} so far"
            if time.monotonic() >= self._next_fault:
                self._next_fault += FAULT_SECONDS
                self._make(next(self._kinds))
            num_ended = self._weigh()
            if num_ended and self._next_fault == math.inf:
                self._next_fault = time.monotonic()
            time.sleep(2)

    def _make(self, kind):
        if kind == "node":
            self._cluster.remove_node(next(iter(self._cluster.worker_nodes)), allow_graceful=False)
            self._cluster.add_node(num_cpus=LOST_CPUS)
        else:
            victims = processes(PROCESS_NAMES[kind])
            if not victims:
                return
            os.kill(victims[len(victims) // 2], signal.SIGKILL)
        self.faults[kind] += 1

    def _weigh(self):
        """Note the memory of those by how many trials have ended."""
        num_ended = sum(trial.outcome() is not None for trial in self._running.sweep.trials())
        pids = {"driver": [self._running.process.pid], "channel": processes("ray::Channel")}
        with suppress(OSError):
            self.memory[num_ended] = {name: sum(map(memory_mb, found)) for name, found in pids.items()}
        return num_ended


def growth(memory, name):
    """Of what lives as long as the sweep: the last fifth's median over that of the fifth after the first tenth."""
    weighed = [(done, sample[name]) for done, sample in sorted(memory.items()) if sample[name]]
    early = [value for done, value in weighed if 0.1 * TRIALS <= done < 0.3 * TRIALS]
    late = [value for done, value in weighed if done >= 0.8 * TRIALS]
    return statistics.median(late) / statistics.median(early) - 1


def test_a_sweep_ends_by_itself_whatever_dies(cluster, start):
    options = ["--trials", TRIALS, "--epochs", 2, "--sampler", "random", "--cpus-per-worker", 1]
    running = start(*options)
    soak = Soak(cluster, running)
    with ThreadPoolExecutor() as reader:
        # A pipe that nobody reads would stop the driver.
        ended = reader.submit(running.end, timeout=MOST_SECONDS)
        soak.run()
    code, output = ended.result()
    seconds = time.monotonic() - soak.started
    grown = {name: growth(soak.memory, name) for name in ("driver", "channel")}
    statuses = Counter(trial.outcome().status for trial in running.sweep.trials() if trial.outcome())
    print(json.dumps({"seconds": seconds, "faults": soak.faults, "outcomes": statuses, "memory_growth": grown}))

    assert code == 0, output
    assert "8 trials at once" in output
    assert soak.faults.keys() == {*PROCESS_NAMES, "node"}
    assert statuses.keys() <= {"finished", "stopped"}, output
    assert_each_trial_is_reported_once(running)
    assert max(grown.values()) < 0.05
    deadline = time.monotonic() + 60
    while (left := [name for name in PROCESS_NAMES.values() if processes(name)]) and time.monotonic() < deadline:
        time.sleep(1)
    assert left == []
    assert placement_groups(cluster) == []
    assert list(Path(running.storage).rglob("*.partial*")) == []


def assert_each_trial_is_reported_once(running):
    ids = [f"{number:04d}" for number in range(TRIALS)]
    assert [trial.id for trial in running.sweep.trials()] == ids
    assert sorted(load(running.sweep.folder.path).trials["id"]) == ids
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{running.sweep.folder.path}/study.db")
    states = {"finished": optuna.trial.TrialState.COMPLETE, "stopped": optuna.trial.TrialState.PRUNED}
    assert [trial.state for trial in study.trials] == [
        states[running.sweep.trial(trial_id).outcome().status] for trial_id in ids
    ]
    for trial in study.trials:
        records = running.sweep.trial(f"{trial.number:04d}").records()
        assert trial.intermediate_values == {record.epoch: record.scores["val_miou"] for record in records}


def placement_groups(cluster):
    """Those that still hold resources."""
    script = (
        "import ray; from ray.util import placement_group_table; ray.init(log_to_driver=False);"
        "print([g['placement_group_id'] for g in placement_group_table().values() if g['state'] != 'REMOVED'])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return json.loads(shown.stdout.strip().splitlines()[-1].replace("'", '"'))
