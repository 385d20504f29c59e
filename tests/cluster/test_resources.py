import pytest

from segray.cluster.resources import Resources, make_plan, worker_bytes
from segray.errors import ConfigError, ResourceError


def plan(nodes, max_slots=None, **resources):
    return make_plan(Resources(**resources), nodes, max_slots)


def test_a_laptop_gives_each_trial_a_cpu():
    assert plan([{"CPU": 2.0}]).slots == 2
    assert "2 trials at once, each with 1 worker of 1 CPU" in plan([{"CPU": 2.0}]).describe()


def test_a_large_cpu_machine_runs_eight_trials_with_a_share_each():
    made = plan([{"CPU": 64.0}])
    assert (made.slots, made.cpus_per_worker) == (8, 8)


@pytest.mark.parametrize(
    ("nodes", "workers_per_trial", "slots", "cpus"),
    [
        ([{"CPU": 15.0}], 1, 8, 1),
        ([{"CPU": 8.0}] * 9, 1, 72, 1),
        ([{"CPU": 64.0}, {"CPU": 8.0}], 1, 16, 4),
        ([{"CPU": 0.0}, {"CPU": 15.0}], 1, 8, 1),
        ([{"CPU": 64.0}], 2, 8, 4),
    ],
)
def test_a_machine_without_gpus_runs_at_most_eight_trials(nodes, workers_per_trial, slots, cpus):
    made = plan(nodes, workers_per_trial=workers_per_trial)
    assert (made.slots, made.cpus_per_worker) == (slots, cpus)
    assert plan(nodes, workers_per_trial=workers_per_trial, cpus_per_worker=0.5).slots > slots


@pytest.mark.parametrize(
    ("nodes", "gpus_per_worker", "slots", "cpus"),
    [
        ([{"CPU": 2.0, "GPU": 1.0}], 0.25, 4, 0.5),
        ([{"CPU": 4.0, "GPU": 8.0}], None, 8, 0.5),
        ([{"CPU": 1.0, "GPU": 3.0}], None, 3, 0.3333),
        ([{"CPU": 0.0, "GPU": 1.0}, {"CPU": 6.0, "GPU": 4.0}], None, 4, 1),
    ],
)
def test_few_cpus_leave_no_gpu_idle(nodes, gpus_per_worker, slots, cpus):
    made = plan(nodes, gpus_per_worker=gpus_per_worker)
    assert (made.slots, made.cpus_per_worker) == (slots, cpus)


def test_gpus_decide_and_their_nodes_cpus_are_shared_among_them():
    made = plan([{"CPU": 32.0, "GPU": 4.0}, {"CPU": 16.0, "GPU": 4.0}, {"CPU": 64.0}], workers_per_trial=2)
    assert (made.slots, made.gpus_per_worker, made.cpus_per_worker) == (4, 1, 4)


def test_two_trials_share_a_gpu():
    made = plan([{"CPU": 8.0, "GPU": 1.0}], gpus_per_worker=0.5)
    assert (made.slots, made.cpus_per_worker) == (2, 4)


def test_a_worker_never_spans_two_gpus():
    assert plan([{"CPU": 64.0, "GPU": 4.0}], gpus_per_worker=0.4).slots == 8


def test_no_more_slots_than_trials():
    assert plan([{"CPU": 16.0}], max_slots=3).slots == 3


def test_a_node_cannot_lend_half_a_worker():
    assert plan([{"CPU": 3.0}, {"CPU": 3.0}], cpus_per_worker=2).slots == 2


@pytest.mark.parametrize(
    ("nodes", "resources"),
    [
        ([{"CPU": 2.0}], {"workers_per_trial": 3}),
        ([{"CPU": 2.0}], {"cpus_per_worker": 4}),
        ([{"CPU": 2.0}], {"gpus_per_worker": 1}),
    ],
)
def test_more_than_the_cluster_has_is_refused_with_what_there_is(nodes, resources):
    with pytest.raises(ResourceError, match="2 CPUs and 0 GPUs"):
        plan(nodes, **resources)


@pytest.mark.parametrize(
    "resources",
    [
        {"workers_per_trial": 0},
        {"cpus_per_worker": 0},
        {"gpus_per_worker": -1},
        {"gpus_per_worker": 1.5},
        {"gpus_per_worker": 0.5, "workers_per_trial": 2},
    ],
)
def test_impossible_requests_are_refused(resources):
    with pytest.raises(ConfigError):
        Resources(**resources)


@pytest.mark.parametrize(
    ("cpus", "trials", "slots", "share"),
    [
        ([15], None, 8, 1),
        ([17], None, 8, 2),
        ([64, 8], 2, 2, 32),
        ([64, 48, 64, 64], 4, 4, 48),
        ([2], 16, 2, 1),
        ([0.5, 4], None, 4, 1),
    ],
)
def test_workers_take_the_largest_share_at_which_all_trials_fit(cpus, trials, slots, share):
    plan = make_plan(Resources(), [{"CPU": float(count)} for count in cpus], max_slots=trials)
    assert (plan.slots, plan.cpus_per_worker) == (slots, share)


def test_a_single_trial_takes_the_whole_machine():
    plan = make_plan(Resources(), [{"CPU": 16.0}], max_slots=1)
    assert (plan.slots, plan.cpus_per_worker) == (1, 16.0)
    plan = make_plan(Resources(workers_per_trial=2), [{"CPU": 16.0}], max_slots=2)
    assert (plan.slots, plan.cpus_per_worker) == (2, 4.0)


def test_memory_holds_fewer_trials_than_cpus_do():
    made = plan([{"CPU": 8.0, "memory": 6e9}])
    assert (made.slots, made.cpus_per_worker) == (4, 2)
    assert made.describe().endswith("; not 8 at once: 6.0 GB of memory hold 4 trials of about 1.4 GB each")
    enough = plan([{"CPU": 8.0, "memory": 13e9}])
    assert enough.slots == 8
    assert "memory" not in enough.describe()


@pytest.mark.parametrize(
    ("nodes", "workers_per_trial", "slots"),
    [
        ([{"CPU": 8.0, "memory": 5e9}, {"CPU": 8.0, "memory": 64e9}], 1, 11),
        ([{"CPU": 8.0, "memory": 1.3e9}] * 4, 1, 1),
        ([{"CPU": 4.0, "memory": 2.6e9}], 2, 1),
        ([{"CPU": 0.0, "memory": 64e9}, {"CPU": 8.0, "memory": 4e9}], 1, 2),
        ([{"CPU": 8.0, "GPU": 4.0, "memory": 8e9}], 1, 2),
    ],
)
def test_every_nodes_memory_counts_for_itself_and_one_trial_is_always_tried(nodes, workers_per_trial, slots):
    made = plan(nodes, workers_per_trial=workers_per_trial)
    assert made.slots == slots
    assert plan(nodes, max_slots=1, workers_per_trial=workers_per_trial).memory_note == ""


def test_what_is_set_aside_for_helpers_fits_for_every_slot():
    for memory in (1e9, 13e9, 100e9):
        made = plan([{"CPU": 8.0, "memory": memory}])
        assert 0 < made.slots * made.helpers_bytes <= memory / 2
    assert made.helpers_bytes == 400_000_000


def test_a_worker_has_its_part_of_a_slots_memory_or_of_a_gpu():
    nodes = [{"CPU": 4.0, "memory": 16e9}]
    made = plan(nodes, max_slots=2, workers_per_trial=2)
    # 8 GB a slot, of which its helpers take 0.4 and the libraries of each worker 0.32.
    assert worker_bytes(made, nodes, None) == 3_480_000_000
    assert worker_bytes(made, [{"CPU": 4.0}], None) is None
    assert worker_bytes(plan([{"CPU": 4.0, "memory": 1e9}], max_slots=1), [{"CPU": 4.0, "memory": 1e8}], None) == 0
    on_gpu = plan([{"CPU": 4.0, "GPU": 1.0}], gpus_per_worker=0.5)
    assert worker_bytes(on_gpu, nodes, 80 * 10**9) == 40 * 10**9
    assert worker_bytes(on_gpu, nodes, None) is None
