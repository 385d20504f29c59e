"""Print without ending the command: a reader may go away, a terminal be closed, a log's disk be full."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO, cast

from segray.errors import ResourceError, SegrayError
from segray.shown import printable, redacted

READER_GONE = (errno.EPIPE, errno.EIO)
"""Errors of a closed pipe and of a closed terminal."""


class _Lasting:
    """A stream that drops its text from the first write without a reader on.

    Args:
        stream: The stream to write to.
        drops_all: Whether other errors, such as a full disk, drop the text too instead of being raised.
    """

    def __init__(self, stream: TextIO, drops_all: bool) -> None:
        self._stream, self.drops_all = stream, drops_all

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or drop it."""
        with self._dropping():
            self._stream.write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts, or drop them."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Pass on the written text, or drop it."""
        # A logging handler that was made meanwhile flushes the stream once more when Python ends.
        if not self._stream.closed:
            with self._dropping():
                self._stream.flush()

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        try:
            yield
        except UnicodeError:
            raise
        except (OSError, ValueError) as error:
            self._drop_the_rest()
            if not self.drops_all and getattr(error, "errno", None) not in READER_GONE:
                raise ResourceError(f"cannot write the output: {error}; it is incomplete") from None
        except RuntimeError:
            # A signal handler prints in the middle of another print.
            if not self.drops_all:
                raise

    def _drop_the_rest(self) -> None:
        """Point the stream's file to /dev/null: the text in its buffer would fail again when Python ends."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            return
        self._stream = open(os.devnull, "w")  # noqa: SIM115, PTH123 - lives as long as the process


def call_or_exit(command: Callable[[], object], *, drops_all: bool = False) -> None:
    """Call a command line's entry point; turn a SegrayError into a message on standard error and its exit code.

    Args:
        command: The entry point.
        drops_all: See `lasting_output`.
    """
    try:
        with lasting_output(drops_all=drops_all):
            command()
    except SegrayError as error:
        with lasting_output(drops_all=True):
            print_error(error)
        sys.exit(error.exit_code)


def print_error(error: SegrayError) -> None:
    """Print an error on standard error, without secrets and control characters."""
    print(f"error: {printable(redacted(error))}", file=sys.stderr)


@contextmanager
def lasting_output(*, drops_all: bool) -> Iterator[None]:
    """Let all libraries of this process print on without a reader.

    Args:
        drops_all: True for work whose result is files: no error of the output ends it. False for commands whose result
            is their output: a full disk is an error.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_make_lasting(stream, drops_all) for stream in before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


def _make_lasting(stream: TextIO | None, drops_all: bool) -> TextIO:
    if stream is None:
        # The shell closed the stream with `>&-`.
        stream = open(os.devnull, "w")  # noqa: SIM115, PTH123 - lives as long as the process
    if isinstance(stream, _Lasting):
        drops_all = drops_all or stream.drops_all
        stream = stream._stream
    if hasattr(stream, "reconfigure"):
        # Text that the terminal cannot show, such as a class name, must not end the command.
        stream.reconfigure(errors="backslashreplace")
    return cast(TextIO, _Lasting(stream, drops_all))
