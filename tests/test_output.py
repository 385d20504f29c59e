"""Commands whose output nobody reads."""

import os
import pty
import subprocess
import sys

import pytest

SAY = """
import sys
from segray.errors import ConfigError
from segray.output import call_or_exit
def command():
    for number in range(20_000):
        print("line", number)
    if "fail" in sys.argv:
        raise ConfigError("what cannot work")
    open(sys.argv[1], "w").write("whole")
call_or_exit(command, drops_all="sweep" in sys.argv)
"""
VIEW = """
import sys
from segray.tuning.run.progress import Progress, View
with View(Progress(total=2, slots=1, deadline=None)) as view:
    for number in range(2_000):
        view.say(f"line {number}")
        sys.stdout.flush()
open(sys.argv[1], "w").write("whole")
"""


def closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def closed_terminal():
    terminal, end = pty.openpty()
    os.close(terminal)
    return end


def full_disk():
    return os.open("/dev/full", os.O_WRONLY)


def run(code, tmp_path, output, *arguments):
    """Run code with its output at a file descriptor; return exit code, error and whether the code ran to its end."""
    done = tmp_path / "done"
    done.unlink(missing_ok=True)
    command = [sys.executable, "-c", code, str(done), *arguments]
    ended = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, check=False)
    os.close(output)
    return ended.returncode, ended.stderr, done.exists()


@pytest.mark.parametrize("output", [closed_pipe, closed_terminal, full_disk])
def test_a_sweep_goes_on_without_a_word(tmp_path, output):
    assert run(SAY, tmp_path, output(), "sweep") == (0, "", True)
    assert run(VIEW, tmp_path, output()) == (0, "", True)


@pytest.mark.parametrize("output", [closed_pipe, closed_terminal])
def test_another_command_ends_quietly_too_where_its_reader_is_gone(tmp_path, output):
    assert run(SAY, tmp_path, output()) == (0, "", True)
    assert run(SAY, tmp_path, output(), "fail") == (2, "error: what cannot work\n", False)


def test_another_command_whose_output_does_not_fit_says_so(tmp_path):
    code, error, _ = run(SAY, tmp_path, full_disk())
    assert code == 2
    assert error == "error: cannot write the output: [Errno 28] No space left on device; it is incomplete\n"


@pytest.mark.parametrize("arguments", [[], ["sweep"], ["fail"], ["sweep", "fail"]])
def test_no_output_at_all(tmp_path, arguments):
    done = tmp_path / "done"
    shell = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", sys.executable, "-c", SAY, str(done), *arguments]
    ended = subprocess.run(shell, check=False)
    assert (ended.returncode, done.exists()) == ((2, False) if "fail" in arguments else (0, True))


def test_names_that_an_ascii_terminal_cannot_show_end_nothing(tmp_path):
    code = SAY.replace('"line"', '"Straße"')
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", code, str(tmp_path / "done")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("Stra\\xdfe 0\n")
