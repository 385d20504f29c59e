"""Requests to a running sweep: small files in its folder, by which a command asks and the sweep's driver answers.

    STORAGE/NAME/requests/
      ID.json            Request: one wish of a person; the driver deletes it when it is done or refused
      ID.answer.json     Answer of the driver; the command that has read it deletes it

An id begins with the time of asking, so that requests are heard in their order. A request that is accepted stays until
it is done, so that a resume hears it again.
"""

from __future__ import annotations

import contextlib
import getpass
import re
import secrets
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import Field, JsonValue, ValidationError

from segray.errors import ConfigError, StorageError
from segray.folder import Folder
from segray.foreign import in_short
from segray.records import StoredRecord
from segray.trial_files import read_record

MAX_BYTES: Final = 100_000
"""Largest size of a request; one of a hundred values has a few thousand bytes."""

_NAME = re.compile(r"(\d{8}-\d{6}-\d{6}-[0-9a-f]{8})\.json", re.ASCII)
_ANSWER = ".answer.json"


class Request(StoredRecord):
    """One wish of a person."""

    kind: Literal["enqueue", "stop", "pause", "continue"]
    values: dict[str, JsonValue] = Field(default={}, max_length=1000)
    """Dotted key -> value of the point to try (enqueue)"""
    trial: str = Field(default="", pattern=r"^[0-9a-z-]{0,60}$")
    """Id of the trial to stop"""
    asked_at: float
    """Unix time"""
    by: str = Field(max_length=200)
    """USER@HOST, as the command knew them"""


class Answer(StoredRecord):
    """The driver's answer to a request."""

    accepted: bool
    said: str
    """One sentence for the person"""


def make_request(
    kind: Literal["enqueue", "stop", "pause", "continue"], *, values: dict[str, object] | None = None, trial: str = ""
) -> Request:
    """Return a request of the person who runs this process.

    Raises:
        ConfigError: A value cannot be kept as JSON, or the trial's id cannot be one.
    """
    try:
        user = getpass.getuser()
    # A container may run under a number that has no name.
    except (KeyError, OSError):
        user = "somebody"
    fields = {"kind": kind, "values": values or {}, "trial": trial}
    try:
        return Request.model_validate(fields | {"asked_at": time.time(), "by": f"{user}@{socket.gethostname()}"[:200]})
    except ValidationError as error:
        raise ConfigError(f"cannot ask for this: {in_short(error)}") from None


@dataclass(frozen=True)
class Requests:
    """The requests to one sweep.

    Args:
        sweep: The sweep's folder.
    """

    sweep: Folder

    def ask(self, request: Request) -> str:
        """Write a request; return its id.

        Raises:
            StorageError: The sweep's folder cannot be written.
        """
        asked_at = datetime.fromtimestamp(request.asked_at, UTC)
        request_id = f"{asked_at:%Y%m%d-%H%M%S-%f}-{secrets.token_hex(4)}"
        self.sweep.write_json(self.file(request_id), request.model_dump(mode="json"))
        return request_id

    def ids(self) -> list[str]:
        """Return the ids of the requests that are not done, in the order of their times; foreign files are no requests.

        Raises:
            StorageError: The folder cannot be read.
        """
        return [found[1] for name in self.sweep.names("requests") if (found := _NAME.fullmatch(name))]

    def read(self, request_id: str) -> Request:
        """Return a request.

        Raises:
            StorageError: The file cannot be read, is gone, or does not hold a request.
        """
        name = self.file(request_id)
        # Reading a pipe would wait for ever.
        if not self.sweep.is_file(name):
            raise self.sweep.damaged(name, "it is gone, or no file")
        if self.sweep.num_bytes(name) > MAX_BYTES:
            raise self.sweep.damaged(name, f"a request has at most {MAX_BYTES} bytes")
        request = read_record(Request, self.sweep, name)
        assert request is not None, "the file was there"
        return request

    def answer(self, request_id: str, answer: Answer) -> None:
        """Write the answer to a request."""
        self.sweep.write_json(f"requests/{request_id}{_ANSWER}", answer.model_dump(mode="json"))

    def close(self, request_id: str) -> None:
        """Delete a request that is done or refused."""
        self.sweep.delete(self.file(request_id))

    def forget_answers(self) -> None:
        """Delete the answers that no command has read."""
        for name in self.sweep.names("requests"):
            if name.endswith(_ANSWER):
                self.sweep.delete(f"requests/{name}")

    def take_answer(self, request_id: str, wait_seconds: float) -> Answer | None:
        """Wait for an answer and delete its file; return None if the time is over first.

        Raises:
            StorageError: The answer cannot be read.
        """
        name = f"requests/{request_id}{_ANSWER}"
        deadline = time.monotonic() + wait_seconds
        while True:
            if answer := read_record(Answer, self.sweep, name):
                # Nobody needs the file any more; the driver's next start deletes it otherwise.
                with contextlib.suppress(StorageError):
                    self.sweep.delete(name)
                return answer
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(left, 0.2 if self.sweep.is_local else 2.0))

    def file(self, request_id: str) -> str:
        """Return the name of a request's file in the sweep's folder."""
        return f"requests/{request_id}.json"
