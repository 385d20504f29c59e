"""A thread whose activity takes too long is reported; a thread that makes progress or waits for others is not."""

import threading
import time

from segray.activity import Throttle, doing, each, waiting_for_others, watched
from segray.data.cache.locks import try_lock, wait_for_lock

LIMIT_SECONDS = 0.2
GENEROUS_SECONDS = 2.0
"""A limit that must not be reached, even on a busy machine"""


class Calls:
    def __init__(self):
        self.made, self.came = [], threading.Event()

    def __call__(self, what, stack):
        self.made.append((what, stack))
        self.came.set()


def stuck_in_here(calls):
    assert calls.came.wait(20)


def test_a_hang_is_named_once_with_the_place_where_it_is():
    calls = Calls()
    with watched(LIMIT_SECONDS, calls):
        for _ in each([1], getting="loading", using="training"):
            stuck_in_here(calls)
            time.sleep(2 * LIMIT_SECONDS)
    [(what, stack)] = calls.made
    assert what == "training"
    assert "in stuck_in_here" in stack


def test_the_wait_for_an_item_that_never_comes_is_named():
    calls = Calls()

    def loader():
        yield 1
        stuck_in_here(calls)

    with watched(LIMIT_SECONDS, calls):
        for _ in each(loader(), getting="loading", using="training"):
            pass
    assert calls.made[0][0] == "loading"


def test_what_gets_on_or_waits_for_others_may_take_any_time():
    calls = Calls()
    with watched(GENEROUS_SECONDS, calls):
        for _ in range(30):
            doing("decoding images")
            time.sleep(GENEROUS_SECONDS / 20)
        with waiting_for_others():
            time.sleep(1.5 * GENEROUS_SECONDS)
    assert calls.made == []


def test_without_a_limit_nothing_counts_as_a_hang():
    with watched(float("inf"), Calls()):
        pass


def test_who_waits_for_a_lock_hangs_only_where_its_holder_does(tmp_path):
    calls, holder = Calls(), try_lock(tmp_path / "lock")

    def wait():
        with watched(GENEROUS_SECONDS, calls):
            wait_for_lock(tmp_path / "lock", "decodes camvid", lambda line: None).release()

    waiting = threading.Thread(target=wait)
    waiting.start()
    for _ in range(30):
        holder.touch()
        time.sleep(GENEROUS_SECONDS / 20)
    assert calls.made == []
    assert calls.came.wait(60)
    assert calls.made[0][0] == "waiting for another process, which decodes camvid"
    holder.release()
    waiting.join()


def test_after_a_wait_for_others_the_watch_goes_on():
    calls = Calls()
    with watched(LIMIT_SECONDS, calls):
        doing("validating")
        with waiting_for_others():
            pass
        stuck_in_here(calls)
    assert calls.made[0][0] == "validating"


def test_a_throttle_is_due_once_in_its_time_and_not_at_the_start(monkeypatch):
    times = iter((100.0, 119.0, 120.0, 121.0, 139.0, 145.0))
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    throttle = Throttle(20.0)
    assert [throttle.is_due() for _ in range(5)] == [False, True, False, False, True]
