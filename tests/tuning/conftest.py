import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from segray.data.synthetic import write_scenes
from segray.storage import open_sweep

STUDY = Path(__file__).with_name("tiny_study.py")
MARK = "SEGRAY_TEST_RUN"


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "scenes"
    write_scenes("cityscapes", root, train=8, val=4, size_px=(64, 64), seed=0)
    return root


class Running:
    """A study in a process group of its own; every process it starts carries a mark in its environment."""

    def __init__(self, scenes, storage, *arguments):
        self.mark, self.storage = uuid.uuid4().hex, storage
        self.sweep = open_sweep(f"{storage}/tiny")
        self.process = subprocess.Popen(
            [sys.executable, str(STUDY), "--data", str(scenes), "--storage", str(storage), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, MARK: self.mark, "SEGRAY_CACHE": f"{storage}/../cache"},
        )

    def end(self, timeout=600):
        """Wait for the end; returns exit code and output."""
        output, _ = self.process.communicate(timeout=timeout)
        return self.process.returncode, output

    def wait_for(self, condition, timeout=600):
        deadline = time.monotonic() + timeout
        while not condition():
            if self.process.poll() is not None:
                pytest.fail(f"the study ended early:\n{self.process.stdout.read()}")
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.05)

    def read_until(self, text):
        """Output up to the line that holds ``text``."""
        seen = ""
        for line in self.process.stdout:
            seen += line
            if text in line:
                break
        return seen

    def interrupt(self):
        """Ctrl-C: the terminal sends it to the whole process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def processes(self, name=""):
        """Ids of the living processes that the study started, itself included, whose command line holds ``name``."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                environment = (folder / "environ").read_bytes()
                zombie = ") Z" in (folder / "stat").read_text()
            except OSError:
                continue
            if f"{MARK}={self.mark}".encode() in environment and name in command and not zombie:
                found.append(int(folder.name))
        return found

    def kill(self):
        """SIGKILL to all it started; what a process started may end with it, before its own turn."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def processes_left(self, timeout=60):
        """What is still alive after a while."""
        deadline = time.monotonic() + timeout
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.1)
        return [(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")) for pid in self.processes()]


@contextmanager
def _starting(scenes, storage):
    """A function that starts the tiny study; whatever that leaves is killed."""
    started = []

    def start_study(*arguments, storage=storage):
        running = Running(scenes, storage, *arguments)
        started.append(running)
        return running

    yield start_study
    for running in started:
        running.kill()
        running.process.wait()
        running.process.stdout.close()


@pytest.fixture
def start(scenes, tmp_path):
    """Start the tiny study in the test's own storage, or in another."""
    with _starting(scenes, tmp_path / "runs") as start_study:
        yield start_study


@pytest.fixture(scope="module")
def ended(scenes, tmp_path_factory):
    """A sweep of four trials and a repeat that came to its end, its exit code and output; no test changes its files."""
    with _starting(scenes, tmp_path_factory.mktemp("ended") / "runs") as start_study:
        running = start_study("--trials", 4, "--scheduler", "none", "--repeats", 1)
        yield running, *running.end()
