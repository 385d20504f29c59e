"""The cause of a death, read from the last lines of a process."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from segray.cluster import deaths
from segray.cluster.deaths import Death, find_death, note_exit, ray_reason, read_death

UNSEEN = (
    "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker "
    "unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1) the process was "
    "killed by the OOM killer due to high memory usage, (2) ray stop --force was called, or (3) SIGSEGV."
)
OUT_OF_MEMORY = (
    "Worker exit type: NODE_OUT_OF_MEMORY Worker exit detail: Task was killed due to the node running low on memory.\n"
    "Memory on the node was 15.0GB."
)


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_os_exit_leaves_its_code_and_stack_but_not_in_a_child():
    ended = run_python(
        "import os, segray.cluster.deaths as deaths\n"
        "deaths.note_exit()\n"
        "if not os.fork(): os._exit(0)\n"
        "os.wait()\n"
        "def in_a_library(): os._exit(3)\n"
        "in_a_library()"
    )
    assert ended.returncode == 3
    assert ended.stderr.count("was called here") == 1
    assert ended.stderr.startswith("os._exit(3) was called here:")
    assert "in in_a_library" in ended.stderr


def write_logs(folder, pid, error_log, output=""):
    for end, text in (("err", error_log), ("out", output)):
        (folder / f"worker-abc-01000000-{pid}.{end}").write_text(text)


@pytest.mark.parametrize(
    ("error_log", "reason"),
    [
        ("os._exit(3) was called here:\n  File ...", "ended with exit code 3"),
        ("*** SIGSEGV received at time=1 on cpu 0 ***\nPC: @ ...", "ended with SIGSEGV (signal 11)"),
        ("*** SIGABRT received at time=1 on cpu 0 ***", "ended with SIGABRT (signal 6)"),
        ("some warning", ""),
        ("", ""),
    ],
)
def test_the_log_tells_how_a_process_ended(tmp_path, error_log, reason):
    write_logs(tmp_path, 7, error_log)
    assert read_death(tmp_path, 7)[0] == reason


def test_the_end_of_the_log_is_kept_without_what_ray_adds(tmp_path):
    write_logs(tmp_path, 7, ":job_id:01000000\n" + "warning\n" * 100 + "Extension modules: a, b\nlast\n", "said\n")
    log = read_death(tmp_path, 7)[1].splitlines()
    assert len(log) == deaths.LOG_LINES
    assert log[-2:] == ["warning", "last"]


def test_of_a_huge_log_only_the_end_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(deaths, "TAIL_BYTES", 100)
    write_logs(tmp_path, 7, "os._exit(3) was called here:\n" + "é" * 1000 + "\nlast")
    reason, log = read_death(tmp_path, 7)
    assert reason == ""
    assert log.endswith("é\nlast")


def test_a_log_that_cannot_be_read_tells_nothing(tmp_path):
    (tmp_path / "worker-abc-01000000-7.err").mkdir()
    assert read_death(tmp_path, 7) == ("", "")


def test_a_process_without_logs_has_no_last_words(tmp_path):
    assert read_death(tmp_path, 7) == ("", "")


def test_ray_tells_of_lost_nodes_and_of_memory_but_not_of_a_silent_death():
    assert ray_reason(None) == ray_reason(ValueError("Connection closed by peer")) == ray_reason(OSError(UNSEEN)) == ""
    lost = "x\nThe actor died because its node has died. Node Id: 1a\n\tthe actor's node was terminated"
    assert ray_reason(OSError(lost)) == "was lost with its node: The actor died because its node has died. Node Id: 1a"
    assert ray_reason(OSError(OUT_OF_MEMORY)) == (
        "ended, as Ray says, with NODE_OUT_OF_MEMORY: Task was killed due to the node running low on memory."
    )


@pytest.fixture
def node(tmp_path, monkeypatch):
    """Make this node Ray's only one; return the folder of its logs."""
    here = SimpleNamespace(get_node_id=lambda: "here")
    monkeypatch.setattr(deaths.ray, "get_runtime_context", lambda: here)
    monkeypatch.setattr(
        deaths.ray._private.worker, "_global_node", SimpleNamespace(get_logs_dir_path=lambda: str(tmp_path))
    )
    return tmp_path


def dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_of_a_group_the_worker_counts_that_is_dead_not_the_one_that_lost_its_connection(node):
    pid = dead_process()
    write_logs(node, pid, "*** SIGSEGV received at time=1 ***")
    workers = {0: ("here", os.getpid()), 1: ("here", pid)}
    death = find_death(workers, {0: RuntimeError("Connection closed by peer")})
    assert death == Death(1, "worker 1 ended with SIGSEGV (signal 11)", "*** SIGSEGV received at time=1 ***")


def test_a_worker_that_was_killed_without_a_word(node):
    pid = dead_process()
    death = find_death({0: ("here", pid)}, {0: OSError(UNSEEN)})
    assert death == Death(0, f"the worker {deaths.KILLED}", "")
    death = find_death({0: ("here", pid)}, {0: OSError(OUT_OF_MEMORY)})
    assert "NODE_OUT_OF_MEMORY" in death.reason


def test_workers_that_live_have_not_died(node):
    assert find_death({0: ("here", os.getpid())}, {0: ValueError("no")}) is None


def test_exit_is_noted_once_a_process(monkeypatch):
    left = []
    monkeypatch.setattr(os, "_exit", left.append)
    note_exit()
    os._exit(4)
    assert left == [4]
