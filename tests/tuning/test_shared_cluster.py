"""Sweeps on a cluster that they did not start, of two nodes on this machine."""

import pytest
from ray.cluster_utils import Cluster

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture
def cluster(monkeypatch):
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    cluster.add_node(num_cpus=2)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    yield cluster
    cluster.shutdown()


def assert_finished(running, num_trials):
    code, output = running.end()
    assert code == 0, output
    outcomes = [trial.outcome() for trial in running.sweep.trials()]
    assert [outcome and outcome.status for outcome in outcomes] == ["finished"] * num_trials, output


def test_a_group_of_workers_on_two_nodes_trains_as_one(cluster, start):
    running = start("--trials", 1, "--workers-per-trial", 2, "--cpus-per-worker", 2)
    assert_finished(running, 1)
    info, [record, *_] = running.sweep.info(), running.sweep.trial("0000").records()
    # Each worker takes all CPUs of a node.
    assert (info.hardware["nodes"], record.attempt) == (2, 1)


def test_two_sweeps_of_one_name_in_two_storages_share_a_cluster(cluster, start, tmp_path):
    options = ["--trials", 1, "--cpus-per-worker", 2]
    first = start(*options, storage=tmp_path / "first")
    second = start(*options, storage=tmp_path / "second")
    assert_finished(first, 1)
    assert_finished(second, 1)


def test_a_second_sweep_on_a_full_cluster_waits_for_the_first(cluster, start, tmp_path):
    options = ["--trials", 4, "--scheduler", "none"]
    first = start(*options, storage=tmp_path / "first")
    first.wait_for(lambda: len(first.sweep.trials()) == 4)
    second = start(*options, storage=tmp_path / "second")
    assert_finished(first, 4)
    assert_finished(second, 4)
