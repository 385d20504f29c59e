import subprocess
import sys

import pytest
import ray
from ray.exceptions import GetTimeoutError

from segray.cluster.channel import Channel, Task
from segray.cluster.group import WarmGroup
from segray.cluster.resources import Plan
from segray.storage import open_sweep


def test_a_slots_own_processes_do_without_torch():
    code = "import sys, segray.tuning.slot; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def cluster_that_claims_a_gpu():
    ray.init(num_cpus=1, num_gpus=1, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")
def test_a_group_whose_workers_cannot_start_is_given_up_and_says_why(cluster_that_claims_a_gpu, tmp_path):
    channel = ray.remote(num_cpus=0)(Channel).remote()
    plan = Plan(
        workers_per_trial=1, cpus_per_worker=1, gpus_per_worker=1, slots=1, total_cpus=1, total_gpus=1, num_nodes=1
    )
    group = WarmGroup(channel, open_sweep(tmp_path), plan)
    group.submit(Task("0000", {}))
    try:
        end = ray.get(channel.next_message.remote(group.slot), timeout=120)
    except GetTimeoutError:
        pytest.fail("the trial waits for ever")
    assert end.status == "failed"
    assert "could not be kept running" in end.reason
    assert "CUDA" in end.reason or "NVIDIA" in end.reason
    assert "Traceback" in end.traceback
    group.close(timeout_seconds=10)
    assert not group.is_alive
