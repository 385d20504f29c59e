"""Placement groups of actors that died, on a real cluster."""

import os
import signal
import time

import pytest
import ray
from ray.util.placement_group import placement_group

from segray.cluster import orphans
from segray.cluster.connection import Connection

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]


def start_holder():
    """Start an actor that holds a placement group; its process cannot import this file."""

    class Holder:
        def hold(self):
            group = placement_group([{"CPU": 1}])
            assert group.wait(60)
            return os.getpid(), group.id

    return ray.remote(num_cpus=0)(Holder).remote()


def states(*groups):
    table = ray.util.placement_group_table()
    return [table[group.hex()]["state"] for group in groups]


def test_only_the_group_of_a_dead_actor_is_freed(monkeypatch):
    monkeypatch.setattr(orphans, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(ray, "init", lambda init=ray.init, **options: init(num_cpus=3, **options))
    with Connection() as cluster:
        cluster.nodes()
        drivers_own = placement_group([{"CPU": 1}])
        assert drivers_own.wait(60)
        killed, alive = start_holder(), start_holder()
        (pid, orphan), (_, kept) = ray.get([killed.hold.remote(), alive.hold.remote()])
        time.sleep(1)
        assert states(orphan, kept) == ["CREATED", "CREATED"]
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while states(orphan) != ["REMOVED"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert states(kept, drivers_own.id) == ["CREATED", "CREATED"]
        ray.get(placement_group([{"CPU": 1}]).ready(), timeout=60)
