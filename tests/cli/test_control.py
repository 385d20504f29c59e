"""Commands that ask a running sweep for something; a thread plays its driver."""

import sys
import threading
import time

import fake_sweep
import pytest

from segray.cli import main
from segray.requests import Answer, Requests


@pytest.fixture
def run(monkeypatch, capsys):
    def run_command(*arguments):
        monkeypatch.setattr(sys, "argv", ["segray", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code, said.out + said.err

    return run_command


@pytest.fixture
def running(sweep):
    sweep.files.write_state(fake_sweep.state("running"))
    return sweep.files


@pytest.fixture
def answering(running):
    """Answer the next request, and keep it."""
    box, heard = Requests(running.folder), []

    def start(accepted, said):
        def answer():
            deadline = time.monotonic() + 20
            while not box.ids() and time.monotonic() < deadline:
                time.sleep(0.02)
            [request_id] = box.ids()
            heard.append(box.read(request_id))
            box.answer(request_id, Answer(accepted=accepted, said=said))
            box.close(request_id)

        threads.append(threading.Thread(target=answer))
        threads[-1].start()
        return heard

    threads = []
    yield start
    for thread in threads:
        thread.join()


def test_an_accepted_request_prints_the_answer(run, running, answering):
    heard = answering(True, "the next new trial has these values")
    asked = run("enqueue", running.folder.path, "optim.lr=1e-3", "data.crop_px=[64, 64]", "loss.name=dice")
    assert asked == (0, "the next new trial has these values\n")
    assert (heard[0].kind, heard[0].values) == (
        "enqueue",
        {"optim.lr": 1e-3, "data.crop_px": [64, 64], "loss.name": "dice"},
    )
    assert "@" in heard[0].by
    assert running.folder.names("requests") == []


def test_a_refusal_is_an_error(run, running, answering):
    heard = answering(False, "trial 0007 has ended already, as finished")
    code, said = run("stop", running.folder.path, "0007")
    assert (code, said) == (2, "error: the sweep refuses: trial 0007 has ended already, as finished\n")
    assert (heard[0].kind, heard[0].trial) == ("stop", "0007")


def test_a_sweep_that_does_not_answer_leaves_the_request_and_exit_code_1(run, running):
    code, said = run("stop", running.folder.path, "0007", "--wait", 0)
    [request_id] = Requests(running.folder).ids()
    assert code == 1
    assert said.startswith(f"no answer within 0 s; the sweep hears {running.folder.path}/requests/{request_id}.json")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (fake_sweep.state("finished"), "since it has finished; continue it with --resume, then ask again"),
        (fake_sweep.state("running", age_seconds=600), "since it was interrupted; continue it with --resume"),
    ],
)
def test_a_sweep_that_does_not_run_is_not_asked(run, running, state, said):
    running.write_state(state)
    code, printed = run("stop", running.folder.path, "0007")
    assert code == 2
    assert said in printed
    assert not running.folder.exists("requests")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["optim.lr"], "a point must be KEY=VALUE, such as optim.lr=0.001, but got 'optim.lr'"),
        (["optim.lr=1", "optim.lr=2"], "a point must give optim.lr once"),
        (["optim.lr=010"], "YAML reads 010 as octal"),
        (["optim.lr=2026-01-01"], "cannot ask for this: values: optim.lr"),
    ],
)
def test_values_that_cannot_be_meant_are_refused_at_once(run, running, values, said):
    code, printed = run("enqueue", running.folder.path, *values)
    assert code == 2
    assert said in printed
