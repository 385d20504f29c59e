"""A run that waits between two batches because a person holds it."""

import time

import pytest
from tiny_run import start, tiny_config, tiny_state

from segray.activity import doing, watched
from segray.clock import working_time
from segray.engine.endings import Interrupted
from segray.engine.hold import rest, resting


class Hold:
    """A hold that is wanted at given looks, and lasts for a while."""

    def __init__(self, *wanted, seconds=0.0):
        self.wanted, self.seconds, self.waits = iter(wanted), seconds, 0

    def is_wanted(self):
        return next(self.wanted, False)

    def wait(self):
        self.waits += 1
        time.sleep(self.seconds)


def test_a_run_waits_between_batches_and_its_records_leave_the_wait_out():
    hold = Hold(False, True, True, False, False, True, seconds=0.3)
    began = time.monotonic()
    held = list(start(tiny_state(tiny_config()), hold=hold))
    assert hold.waits == 3
    assert sum(record.epoch_seconds for record in held) < time.monotonic() - began - 0.89
    plain = list(start(tiny_state(tiny_config())))
    assert [record.scores for record in held] == [record.scores for record in plain]
    assert [record.train_loss for record in held] == [record.train_loss for record in plain]


def test_a_run_that_must_end_while_it_is_held_trains_on_no_further_batch():
    state, hold = tiny_state(tiny_config()), Hold(False, True)
    with pytest.raises(Interrupted):
        list(start(state, hold=hold, interrupted=lambda: hold.waits > 0))
    assert state.schedule.last_epoch == 1


def test_a_run_of_one_process_waits_in_its_validation_too():
    hold = Hold(True, False)
    look = resting(lambda: hold.waits == 1, hold)
    assert look()
    assert hold.waits == 1
    assert not resting(lambda: False, None)()


def test_a_hold_is_no_hang_and_its_time_does_not_count():
    found = []
    with watched(0.3, lambda *said: found.append(said)):
        doing("training on a batch")
        before = working_time()
        rest(Hold(seconds=0.8))
        assert found == []
        assert working_time() - before < 0.5
        time.sleep(0.8)
    assert [what for what, _ in found] == ["training on a batch"]


def test_a_wait_that_fails_lets_the_clock_go_on():
    class Broken(Hold):
        def wait(self):
            raise RuntimeError("the channel is gone")

    with pytest.raises(RuntimeError):
        rest(Broken())
    before = working_time()
    time.sleep(0.02)
    assert working_time() > before
