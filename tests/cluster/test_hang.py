"""A worker whose step never ends writes its stack to its own log and kills itself."""

import signal
import threading

import pytest

from segray.activity import each
from segray.cluster import hang
from segray.cluster.deaths import read_death
from segray.cluster.limits import Limits
from segray.errors import ConfigError


def test_a_hung_worker_writes_down_where_and_is_killed(tmp_path, monkeypatch, capfd):
    sent, killed = [], threading.Event()

    def kill(_, signal_number):
        sent.append(signal_number)
        killed.set()

    def never_ends():
        assert killed.wait(60)

    monkeypatch.setattr(hang.os, "kill", kill)
    monkeypatch.setattr(hang.dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(hang, "PRECEDENCE_SECONDS", 0.1)
    with hang.ending_hangs(limit_minutes=0.005):
        for _ in each([1], getting="loading a training batch", using="training on a batch"):
            never_ends()
    assert sent == [signal.SIGKILL]
    (tmp_path / "worker-ab-01-123.err").write_text(capfd.readouterr().err)
    reason, log = read_death(tmp_path, 123)
    assert reason == "hung: training on a batch took more than 0.005 min (--silence-limit)"
    assert "in never_ends" in log


@pytest.mark.parametrize("minutes", [0, -1, float("nan")])
def test_limits_must_be_above_zero(minutes):
    with pytest.raises(ConfigError, match="--trial-timeout must be above 0 minutes"):
        Limits(trial_minutes=minutes)
    with pytest.raises(ConfigError, match="--silence-limit must be above 0 minutes"):
        Limits(silence_minutes=minutes)
