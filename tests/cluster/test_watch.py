"""The watch over Ray's processes, tested with other processes."""

import os
import socket
import subprocess
import sys
import threading

import pytest

from segray.cluster import watch

LISTEN = """
import socket, sys, time
with socket.socket(socket.AF_UNIX) as server:
    server.bind(sys.argv[1])
    server.listen()
    print(flush=True)
    time.sleep(600)
"""


@pytest.fixture
def raylet(tmp_path):
    """A process that listens on a Unix socket, and the socket's path."""
    path = str(tmp_path / "socket")
    process = subprocess.Popen([sys.executable, "-c", LISTEN, path], stdout=subprocess.PIPE)
    process.stdout.readline()
    yield process, path
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def head():
    """A server that answers, and its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server, f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def watched(raylet, head, monkeypatch):
    """Watch both in a thread; yield a function that waits for the result, and the event that ends the watch."""
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(watch, "HEAD_SILENCE_SECONDS", 0.5)
    seen, close = [], threading.Event()
    descriptor = os.pidfd_open(watch._listener(raylet[1]))
    thread = threading.Thread(target=lambda: seen.append(watch._watch(descriptor, head[1], close)))
    thread.start()

    def end(timeout=60):
        thread.join(timeout)
        return seen

    yield end, close
    close.set()
    thread.join()
    os.close(descriptor)


def test_the_process_behind_a_socket_is_found(raylet):
    assert watch._listener(raylet[1]) == raylet[0].pid


def test_nothing_is_lost_while_both_are_there(watched):
    end, close = watched
    assert end(timeout=2) == []
    close.set()
    assert end() == [None]


def test_the_node_process_ends(watched, raylet):
    end, _ = watched
    raylet[0].kill()
    [error] = end()
    assert "the raylet, has ended" in str(error)
    assert error.exit_code == 3


def test_the_head_stops_answering(watched, head):
    end, _ = watched
    head[0].close()
    [error] = end()
    assert "has not answered for 0.5 s" in str(error)
