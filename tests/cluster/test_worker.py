"""The report of a worker for every way in which a trial can end."""

from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist

from segray.cluster import worker
from segray.cluster.messages import Task
from segray.config import RunConfig
from segray.engine.endings import Diverged, Interrupted
from segray.errors import DataError, OutageError, SweepTakenError, WriteError
from segray.storage import open_sweep

SAID = []


class Line:
    """A line that keeps the reported end of a trial."""

    is_late = False
    stop_reason = ""

    def __init__(self, *_, **__):
        SAID.clear()

    def end(self, status, reason, trace=""):
        SAID.append((status, reason, trace))


@pytest.fixture
def one_rank(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.fixture
def run(one_rank, tmp_path, monkeypatch):
    """Run a task whose training raises the given errors, one per call."""

    def run_task(*outcomes):
        waiting, used = list(outcomes), []

        def train_trial(*_, micro_batches, device, **__):
            assert device == torch.device("cpu")
            used.append(micro_batches)
            outcome = waiting.pop(0)
            if outcome is not None:
                raise outcome

        monkeypatch.setattr(worker, "train_trial", train_trial)
        monkeypatch.setattr(worker, "_check_storage", lambda _: None)
        monkeypatch.setattr(worker, "max_micro_batches", lambda _: 4)
        monkeypatch.setattr(worker, "Line", Line)
        config = RunConfig().with_values({"train.batch_size": 4})
        task = Task("0000", config.model_dump(mode="json"))
        settings = worker.WorkerConfig(None, "slot", open_sweep(tmp_path / "sweep"), "cpu", 0)
        worker.run_task(task, settings, 1)
        return used

    return run_task


def test_a_trial_that_ends_by_itself_or_is_interrupted_says_nothing_more(run):
    for outcome in (None, Interrupted()):
        run(outcome)
        assert SAID == []


@pytest.mark.parametrize(("has_model", "status"), [(True, "stopped"), (False, "failed")])
def test_a_trial_that_has_had_its_time_is_stopped_or_has_failed_where_it_has_no_model(
    tmp_path, monkeypatch, has_model, status
):
    said = []
    channel = SimpleNamespace(
        should_stop=SimpleNamespace(remote=lambda *_: "stop"),
        hold_begins=SimpleNamespace(remote=lambda *_: "hold"),
        hand_over=SimpleNamespace(remote=lambda *args: args[-1]),
    )
    monkeypatch.setattr(worker.ray, "wait", lambda *_, **__: ([], []))
    monkeypatch.setattr(worker, "wait_for", said.append)
    settings = worker.WorkerConfig(
        channel,
        "slot",
        open_sweep(tmp_path),
        "cpu",
        0,
        worker.Limits(trial_minutes=10),
    )
    line = worker.Line(Task("0000", {}), settings, 1)
    assert not line.interrupted()
    line = worker.Line(Task("0000", {}, seconds=601.0), settings, 1)
    assert line.interrupted()
    line.end_late(has_model=has_model)
    [end] = said
    assert end.status == status
    assert end.reason.startswith("stopped after 10 min (--trial-timeout); ")
    assert end.seconds >= 601


def test_a_worker_hears_of_holds_and_stops_and_says_why_it_was_stopped(tmp_path, monkeypatch):
    ready, asked = [], []

    def answering(name, answer):
        return SimpleNamespace(remote=lambda *_: asked.append(name) or answer)

    channel = SimpleNamespace(
        should_stop=answering("stop", "stopped by request"),
        hold_begins=answering("begin", "hold"),
        hold_ends=answering("end", None),
    )
    monkeypatch.setattr(worker.ray, "wait", lambda *_, **__: (ready, []))
    monkeypatch.setattr(worker, "wait_for", lambda value: value)
    monkeypatch.setattr(worker, "LOOK_SECONDS", 100)
    settings = worker.WorkerConfig(channel, "slot", open_sweep(tmp_path), "cpu", 0)
    ready.append("hold")
    line = worker.Line(Task("0000", {}), settings, 1)
    assert not line.interrupted()
    assert line.is_wanted()
    ready[:] = []
    line.wait()
    assert asked == ["stop", "begin", "end", "begin"]
    # Without a pause to its next look: the wait may have ended because the trial must.
    ready.append("stopped by request")
    assert line.interrupted()
    assert not line.is_wanted()
    assert line.stop_reason == "stopped by request"


def test_a_trial_that_a_person_stopped_is_reported_by_the_rank_that_heard_of_it(run, monkeypatch):
    run(Interrupted())
    assert SAID == []
    monkeypatch.setattr(Line, "stop_reason", "stopped by request of alice")
    run(Interrupted())
    assert SAID == [("stopped", "stopped by request of alice", "")]


def test_a_worker_whose_driver_has_lost_the_sweep_says_nothing_and_trains_no_more(run, monkeypatch):
    run(SweepTakenError("another start"))
    assert SAID == []
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    with pytest.raises(SweepTakenError):
        run(SweepTakenError("another start"))
    assert SAID == []
    monkeypatch.setattr(worker, "_is_taken", lambda _: True)
    assert run(None) == []


def test_divergence(run):
    run(Diverged(epoch=2, step=7))
    [(status, reason, _)] = SAID
    assert status == "diverged"
    assert "step 7 of epoch 2" in reason


def test_an_error_fails_the_trial_with_its_traceback_and_spares_the_process(run):
    run(ValueError("what is wrong"))
    [(status, reason, trace)] = SAID
    assert (status, reason) == ("failed", "ValueError: what is wrong")
    assert "Traceback" in trace


@pytest.mark.parametrize("kind", [WriteError, OutageError])
def test_storage_that_cannot_be_written_is_no_failure_of_the_trial(run, kind):
    run(kind("cannot write 'runs/s/trials/0000/last.json': No space left on device; make room there"))
    [(status, reason, _)] = SAID
    assert (status, reason[:12]) == ("no_storage", "cannot write")


def test_a_library_that_calls_sys_exit_fails_the_trial_at_once_and_spares_the_process(run):
    run(SystemExit("no licence"))
    [(status, reason, trace)] = SAID
    assert (status, reason) == ("failed", "SystemExit: no licence")
    assert "Traceback" in trace


def test_of_several_ranks_one_with_an_error_ends_its_process_and_only_a_clear_error_ends_the_trial(run, monkeypatch):
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    with pytest.raises(RuntimeError):
        run(RuntimeError("Connection closed by peer"))
    assert SAID == []
    with pytest.raises(DataError):
        run(DataError("label 7 is not in the class list"))
    assert SAID[0][:2] == ("failed", "DataError: label 7 is not in the class list")


def test_out_of_memory_splits_the_batch_until_it_fits(run):
    assert run(torch.OutOfMemoryError("full"), torch.OutOfMemoryError("full"), None) == [1, 2, 4]
    assert SAID == []


def test_out_of_memory_with_single_images_ends_the_trial(run):
    full = torch.OutOfMemoryError("full")
    assert run(full, full, full) == [1, 2, 4]
    [(status, reason, _)] = SAID
    assert status == "out_of_memory"
    assert "train.batch_size 4 does not fit" in reason


def test_after_a_device_error_the_process_is_not_used_again(run):
    with pytest.raises(torch.AcceleratorError):
        run(torch.AcceleratorError("illegal memory access"))
    assert SAID[0][0] == "failed"
