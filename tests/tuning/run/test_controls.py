"""What a driver makes of the requests of persons."""

import time
from types import SimpleNamespace

import pytest

from segray import clock
from segray.errors import ConfigError, StorageError
from segray.records import Outcome
from segray.requests import Requests, make_request
from segray.text import moment
from segray.tuning.run import controls as controls_module
from segray.tuning.run.controls import Controls
from segray.tuning.run.progress import Progress, RunningTrial, View, deadline_after
from segray.tuning.run.repeats import ListSearch
from segray.tuning.run.retries import Retries
from segray.tuning.run.supervisor import StateFile, Stop


class Search:
    """A search that takes points with a learning rate, and keeps what it is asked for."""

    def __init__(self):
        self.closes, self.ended = [], []

    def enqueue(self, values, close):
        if "optim.lr" not in values:
            raise ConfigError("unknown searched key")
        if values["optim.lr"] == "bad":
            raise RuntimeError("a library\nfailed")
        self.closes.append(close)
        return len(self.closes) - 1

    def end_paused(self, trial_id, reason):
        self.ended.append((trial_id, reason))


class Driver:
    """A phase whose trial 0003 runs and whose trial 0004 is paused; its channel keeps what it is told."""

    def __init__(self, files, search):
        self.files, self.box, self.search, self.told = files, Requests(files.folder), search, []
        self.progress = Progress(total=9, slots=2, deadline=None)
        self.progress.running["0003"] = RunningTrial("0003", {}, epochs=9, best=0.3)
        self.progress.paused.add("0004")
        told = SimpleNamespace(remote=lambda *args: self.told.append(args))
        self.channel = SimpleNamespace(stop=told, hold=told)
        self.retries = Retries(ListSearch([[("0008", {})]].pop), files)
        self.start()

    def start(self):
        """Start the driver, again."""
        self.state = StateFile(self.files, self.progress)
        self.controls = Controls(self.files, View(self.progress), self.state)
        self.controls.begin_phase(self.channel, self.progress, self.retries, self.search, lambda: False)

    def look(self):
        self.controls._next_look = 0.0
        self.controls.on_step_end()

    def ask(self, kind, **fields):
        """Ask, let the driver look, and return the id of the request, whether it is accepted, and why."""
        request_id = self.box.ask(make_request(kind, **fields))
        self.look()
        answer = self.box.take_answer(request_id, 0.0)
        return request_id, answer.accepted, answer.said


@pytest.fixture
def driver(sweep):
    for trial_id in ("0003", "0004", "0005"):
        sweep.files.trial(trial_id).write_values({})
    yield Driver(sweep.files, Search())
    clock.release_clock()


def test_a_stop_reaches_the_channel_until_the_trial_has_ended(driver, capsys):
    request_id, accepted, said = driver.ask("stop", trial="0003")
    assert (accepted, said) == (True, "trial 0003 ends at its next batch; its best checkpoint is kept")
    driver.look()
    [first, again] = driver.told
    assert first == again
    assert first[0] == "0003"
    assert first[1].startswith("stopped by request of ")
    assert driver.box.ids() == [request_id]
    assert driver.ask("stop", trial="0003")[1:] == (False, "trial 0003 ends already, by an earlier request")
    driver.files.trial("0003").finish(Outcome(status="stopped", epochs=2))
    # The phase may end with the trial, before another look.
    driver.controls.end_phase()
    assert driver.box.ids() == []
    assert driver.ask("stop", trial="0003")[1:] == (False, "trial 0003 has ended already, as stopped")
    assert "by request of " in capsys.readouterr().out


def test_a_trial_that_its_scheduler_pauses_as_it_is_to_end_ends_all_the_same(driver):
    driver.ask("stop", trial="0003")
    driver.progress.paused.add(driver.progress.running.pop("0003").id)
    driver.look()
    assert driver.search.ended == [("0003", driver.told[0][1])]


def test_a_paused_trial_ends_and_one_that_waits_ends_when_it_has_a_slot(driver):
    assert "0004, which had left its slot, ends" in driver.ask("stop", trial="0004")[2]
    assert [trial for trial, _ in driver.search.ended] == ["0004"]
    assert "0005 waits for a slot, and ends when it has one" in driver.ask("stop", trial="0005")[2]
    assert driver.told == []
    driver.progress.running["0005"] = RunningTrial("0005", {}, epochs=9)
    driver.look()
    assert driver.told[-1][0] == "0005"


@pytest.mark.parametrize("trial", ["0009", ""])
def test_a_trial_that_is_not_there_is_refused_with_those_that_are(driver, trial):
    request_id, accepted, said = driver.ask("stop", trial=trial)
    assert (accepted, said) == (False, f"there is no trial {trial} that could end; running: 0003")
    assert request_id not in driver.box.ids()


def test_an_enqueued_point_stays_in_the_folder_until_a_trial_has_it(driver, capsys):
    _, accepted, said = driver.ask("enqueue", values={"optim.lr": 0.1})
    assert accepted
    assert said.startswith("the next new trial has these values; it counts within --trials")
    second, _, said = driver.ask("enqueue", values={"optim.lr": 0.2})
    assert said.startswith("1 new trial first; then the next one has")
    driver.search.closes[0]("trial 0006 has them")
    assert driver.box.ids() == [second]
    assert "trial 0006 has them" in capsys.readouterr().out
    # The driver dies; the next start hears what was accepted and has not begun, before it proposes a trial.
    driver.start()
    assert len(driver.search.closes) == 3
    assert driver.box.ids() == [second]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"optim.ir": 0.1}, "unknown searched key"),
        ({"optim.lr": "bad"}, "RuntimeError: a library"),
        ({}, "a point needs a value, such as optim.lr=0.001"),
    ],
)
def test_a_point_that_cannot_be_tried_is_refused_whatever_its_check_raises(driver, values, said):
    assert driver.ask("enqueue", values=values)[1:] == (False, said)
    assert driver.box.ids() == []


def test_repeats_take_no_points_but_can_be_stopped(driver):
    driver.progress.what = "repeat"
    driver.progress.running = {"0001-seed1-epochs9": RunningTrial("0001-seed1-epochs9", {}, epochs=9)}
    driver.controls.begin_phase(driver.channel, driver.progress, driver.retries, None, lambda: False)
    assert "the search is over" in driver.ask("enqueue", values={"optim.lr": 0.1})[2]
    assert "repeat 0005 that could end" in driver.ask("stop", trial="0005")[2]
    assert driver.ask("stop", trial="0001-seed1-epochs9")[1]


def test_a_pause_holds_workers_new_trials_and_the_clock_of_minutes_until_continue(driver, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(clock, "_held_seconds", 0.0)
    stop, budget = Stop(), Progress(total=9, slots=2, deadline=deadline_after(1.0))
    stop.watch(driver.channel, budget.deadline)
    assert driver.ask("continue")[1:] == (False, "the sweep is not on hold")
    now[0] += 50
    _, accepted, said = driver.ask("pause")
    assert accepted
    assert said.startswith("all trials wait at their next batch, and no other begins")
    assert driver.told == [(True,)]
    assert driver.retries.suggest("a") is None
    assert driver.box.ids() == []
    state = driver.files.state()
    assert (state.status, state.held_since) == ("running", driver.progress.held_since)
    assert abs(state.held_since - time.time()) < 60
    now[0] += 1000
    assert not stop.out_of_time
    assert budget.seconds_left() == 10
    assert driver.ask("pause")[2].startswith("the sweep has been on hold already, since 20")
    assert driver.ask("continue")[2].startswith("all trials go on; the sweep was on hold for ")
    assert driver.told[1:] == [(False,)]
    assert driver.retries.suggest("a") == {"trial": "0008", "values": {}}
    assert driver.files.state().held_since is None
    now[0] += 9
    assert not stop.out_of_time
    now[0] += 2
    assert stop.out_of_time


def test_without_a_trial_in_a_slot_a_hold_hears_requests_and_the_end_where_tune_asks_for_a_trial(driver):
    """Tune then asks the searcher for ten minutes, and calls nobody else."""
    over = []
    driver.controls.begin_phase(driver.channel, driver.progress, driver.retries, driver.search, lambda: bool(over))
    driver.ask("pause")
    assert driver.retries.suggest("a") is None
    assert driver.files.state().status == "running"
    over.append(True)
    assert driver.retries.suggest("a") == "FINISHED"
    over.clear()
    request_id = driver.box.ask(make_request("continue"))
    driver.controls._next_look = 0.0
    assert driver.retries.suggest("a") == {"trial": "0008", "values": {}}
    assert driver.box.take_answer(request_id, 0.0).accepted


def test_a_stop_of_a_repeat_that_waits_and_a_point_of_an_earlier_start_outlive_a_start_that_only_repeats(driver):
    repeat = "0001-seed1-epochs9"
    driver.files.trial(repeat).write_values({})
    point, stop = (
        driver.box.ask(make_request("enqueue", values={"optim.lr": 0.1})),
        driver.box.ask(make_request("stop", trial=repeat)),
    )
    driver.search = None
    driver.progress.what, driver.progress.running = "repeat", {}
    driver.start()
    assert driver.box.ids() == [point, stop]
    assert driver.box.take_answer(stop, 0.0).accepted
    assert driver.box.take_answer(point, 0.0) is None


def test_a_hold_goes_on_into_the_repeats_and_ends_with_the_driver(driver):
    driver.ask("pause")
    repeats, retries = Progress(total=2, slots=1, deadline=None, what="repeat"), Retries(ListSearch(list), driver.files)
    driver.controls.begin_phase(driver.channel, repeats, retries, None, lambda: False)
    assert driver.told == [(True,), (True,)]
    assert retries.suggest("a") is None
    assert repeats.headline().startswith(f"on hold since {moment(driver.state.held_since)}: 0/2 repeats done")
    driver.state.write("interrupted")
    assert driver.files.state().held_since is None
    # A pause that a dead driver did not hear must not hold up the sweep that a person resumes.
    driver.box.ask(make_request("pause"))
    driver.start()
    driver.look()
    assert driver.state.held_since is None
    assert driver.box.ids() == []


def test_a_request_that_is_damaged_or_not_json_is_refused_and_the_next_one_is_heard(driver):
    request_id = "20200101-000000-000000-0123abcd"
    driver.files.folder.write_bytes(driver.box.file(request_id), b'{"kind": "stop"')
    assert driver.ask("stop", trial="0003")[1]
    answer = driver.box.take_answer(request_id, 0.0)
    assert not answer.accepted
    assert "is damaged" in answer.said


def test_storage_that_is_out_of_reach_or_full_costs_no_trial(driver, monkeypatch):
    def unreachable(*_):
        raise StorageError("cannot reach it")

    request_id = driver.box.ask(make_request("stop", trial="0003"))
    with monkeypatch.context() as broken:
        broken.setattr(controls_module.Requests, "ids", unreachable)
        driver.look()
    with monkeypatch.context() as broken:
        broken.setattr(controls_module.Requests, "answer", unreachable)
        driver.look()
    driver.look()
    assert {trial for trial, _ in driver.told} == {"0003"}
    assert driver.box.ids() == [request_id]


def test_a_crowd_of_requests_leaves_the_driver_time_for_its_trials(driver):
    for _ in range(controls_module.MOST_AT_ONCE + 3):
        driver.box.ask(make_request("stop", trial="0009"))
    driver.look()
    assert len(driver.box.ids()) == 3
