"""A worker whose step never ends: its process ends itself, and says why to the channel and in the trial's log."""

import threading
from types import SimpleNamespace

import pytest

from segray.activity import each
from segray.cluster import hang
from segray.cluster.limits import Limits
from segray.cluster.worker import WorkerConfig
from segray.errors import ConfigError
from segray.storage import open_sweep


@pytest.mark.parametrize("channel_hangs", [False, True])
def test_a_hung_worker_says_where_and_ends(tmp_path, monkeypatch, channel_hangs):
    said, ended, exit_codes = [], threading.Event(), []

    def end(code):
        exit_codes.append(code)
        ended.set()

    def never_ends():
        assert ended.wait(60)

    monkeypatch.setattr(hang.os, "_exit", end)
    monkeypatch.setattr(hang.dist, "get_rank", lambda: 0)
    monkeypatch.setattr(hang.dist, "get_world_size", lambda: 1)
    monkeypatch.setattr(hang.ray.util, "get_node_ip_address", lambda: "10.0.0.1")
    monkeypatch.setattr(hang.ray, "get", (lambda _: ended.wait(60)) if channel_hangs else said.append)
    monkeypatch.setattr(hang, "LAST_WORDS_SECONDS", 0.2)
    channel = SimpleNamespace(note_failure=SimpleNamespace(remote=lambda *words: words))
    sweep = open_sweep(tmp_path)
    with hang.ending_hangs("0000", WorkerConfig(channel, "slot1", sweep, "cpu", 0, Limits(silence_minutes=0.005))):
        for _ in each([1], getting="loading a training batch", using="training on a batch"):
            never_ends()
    assert exit_codes == [1]
    reason = "worker 0 on node 10.0.0.1 hung: training on a batch took more than 0.005 min (--silence-limit)"
    if not channel_hangs:
        [(slot, rank, told, stack)] = said
        assert (slot, rank, told) == ("slot1", 0, reason)
        assert "in never_ends" in stack
    log = sweep.trial("0000").folder.read_bytes("log.txt").decode()
    assert reason in log
    assert "in never_ends" in log


@pytest.mark.parametrize("minutes", [0, -1, float("nan")])
def test_limits_must_be_above_zero(minutes):
    with pytest.raises(ConfigError, match="--trial-timeout must be above 0 minutes"):
        Limits(trial_minutes=minutes)
    with pytest.raises(ConfigError, match="--silence-limit must be above 0 minutes"):
        Limits(silence_minutes=minutes)
