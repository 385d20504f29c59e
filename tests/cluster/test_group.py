import subprocess
import sys
from typing import Any

import pytest
import ray
from ray.exceptions import GetTimeoutError

from segray.cluster.channel import Channel, Task
from segray.cluster.group import WarmGroup
from segray.cluster.resources import Plan


def test_a_slots_own_processes_do_without_torch():
    code = "import sys, segray.tuning.slot; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def cluster():
    ray.init("local", num_cpus=1, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")
def test_a_group_whose_workers_cannot_start_is_given_up_and_says_why(cluster):
    channel = ray.remote(num_cpus=0)(Channel).remote()
    plan = Plan(
        workers_per_trial=1, cpus_per_worker=1, gpus_per_worker=0, slots=1, total_cpus=1, total_gpus=0, num_nodes=1
    )
    no_sweep: Any = None
    group = WarmGroup(channel, no_sweep, plan)
    group.submit(Task("0000", {}))
    try:
        end = ray.get(channel.next_message.remote(group.slot), timeout=240)
    except GetTimeoutError:
        pytest.fail("the trial waits for ever")
    assert end.status == "failed"
    assert "could not be kept running: AttributeError" in end.reason
    assert "Traceback" in end.traceback
    group.close(timeout_seconds=10)
    assert not group.is_alive
