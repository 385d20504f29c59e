"""Workers find each other without opening a port to everyone."""

import asyncio
import subprocess
import sys
import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist

from segray.cluster import store as store_module
from segray.cluster.channel import Channel
from segray.cluster.store import ChannelStore, make_store

LISTENING = """
import os, torch.distributed as dist
from segray.cluster.store import make_store, stay_on_loopback
stay_on_loopback()
dist.init_process_group("gloo", store=make_store(None, "slot", 1, world_size=1), rank=0, world_size=1)
dist.barrier()
links = (os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd"))
sockets = {os.readlink(link) for link in links if os.path.lexists(link)}
for kind in ("tcp", "tcp6"):
    for line in open(f"/proc/net/{kind}").readlines()[1:]:
        address, _, state, *rest = line.split()[1:]
        if state == "0A" and f"socket:[{rest[5]}]" in sockets:
            print(address.split(":")[0])
"""


@pytest.fixture
def channel(monkeypatch):
    """A channel without Ray, in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    real = Channel()

    def method(name):
        call = getattr(real, name)
        return SimpleNamespace(remote=lambda *arguments: asyncio.run_coroutine_threadsafe(call(*arguments), loop))

    monkeypatch.setattr(store_module, "wait_for", lambda future, timeout=30: future.result(timeout))
    yield SimpleNamespace(**{name: method(name) for name in ("store_set", "store_get", "store_add", "store_has")})
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_a_store_in_the_channel_keeps_what_another_rank_set(channel):
    one, other = (ChannelStore(channel, "slot", 1) for _ in range(2))
    one.set("text", "value")
    one.set("bytes", b"\x00\xff")
    assert (other.get("text"), other.get("bytes")) == (b"value", b"\x00\xff")
    assert other.check(["text", "bytes"])
    assert not other.check(["text", "missing"])
    assert (one.add("count", 2), other.add("count", 3)) == (2, 5)
    other.wait(["text"], timedelta(seconds=5))
    with pytest.raises(TimeoutError):
        other.wait(["missing"], timedelta(seconds=0.05))


def test_torch_meets_in_the_channel(channel):
    dist.init_process_group("gloo", store=ChannelStore(channel, "slot", 1), rank=0, world_size=1)
    try:
        total = torch.ones(2)
        dist.all_reduce(total)
        assert total.tolist() == [1, 1]
    finally:
        dist.destroy_process_group()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_worker_alone_listens_on_loopback_only():
    shown = subprocess.run([sys.executable, "-c", LISTENING], capture_output=True, text=True, check=True)
    assert set(shown.stdout.split()) <= {"0100007F"}


def test_a_worker_alone_needs_no_channel():
    make_store(None, "slot", 1, world_size=1).set("key", "value")
