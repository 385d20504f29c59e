"""``segray enqueue``, ``stop``, ``pause`` and ``continue``: ask a running sweep for something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from segray.shown import printable

if TYPE_CHECKING:
    from segray.requests import Request

ENDS: Final = {"finished": "has finished", "interrupted": "was interrupted"}

Run = Annotated[str, typer.Argument(metavar="RUN", help="Folder or URL of a running sweep, such as runs/camvid")]
Wait = Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Longest wait for the sweep's answer")]


def enqueue(
    run: Run,
    values: Annotated[
        list[str], typer.Argument(metavar="KEY=VALUE...", help="Searched keys and values, such as optim.lr=0.001")
    ],
    wait: Wait = 30.0,
) -> None:
    """Make a point the next new trial of a running search; keys that are left out are sampled."""
    from segray.requests import make_request
    from segray.tuning.options import parse_point

    _ask(run, make_request("enqueue", values=parse_point(values)), wait)


def stop(
    run: Run,
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="Id of the trial or repeat, such as 0007")],
    wait: Wait = 30.0,
) -> None:
    """End a trial of a running sweep at its next batch, and keep its best checkpoint."""
    from segray.requests import make_request

    _ask(run, make_request("stop", trial=trial), wait)


def pause(run: Run, wait: Wait = 30.0) -> None:
    """Let all trials of a running sweep wait at their next batch, until ``segray continue``; they keep their memory."""
    from segray.requests import make_request

    _ask(run, make_request("pause"), wait)


def continue_(run: Run, wait: Wait = 30.0) -> None:
    """Let the trials of a paused sweep go on where they are."""
    from segray.requests import make_request

    _ask(run, make_request("continue"), wait)


COMMANDS: Final = (("enqueue", enqueue), ("stop", stop), ("pause", pause), ("continue", continue_))
"""Each command with its name, since one name is a word of Python."""


def _ask(run: str, request: Request, wait_seconds: float) -> None:
    """Ask, wait for the answer and print it.

    The exit code is 0 if the sweep accepts, 1 if it has not answered yet, and 2 if it refuses or does not run.

    Raises:
        ConfigError: The sweep refuses, or does not run.
        StorageError: There is no sweep, or its folder cannot be written.
    """
    from segray.errors import ConfigError
    from segray.owner import status_now
    from segray.requests import Requests
    from segray.storage import open_sweep

    files = open_sweep(run)
    files.info()
    status = status_now(files.folder, files.state())
    if status != "running":
        raise ConfigError(
            f"the sweep at {files.folder.path!r} does not run now, since it {ENDS[status]}; continue it with "
            "--resume, then ask again"
        )
    requests = Requests(files.folder)
    request_id = requests.ask(request)
    answer = requests.take_answer(request_id, wait_seconds)
    if answer is None:
        file = f"{files.folder.path}/{requests.file(request_id)}"
        print(printable(f"no answer within {wait_seconds:g} s; the sweep hears {file} later, unless you delete it"))
        raise typer.Exit(1)
    if not answer.accepted:
        raise ConfigError(f"the sweep refuses: {answer.said}")
    print(printable(answer.said))
