"""What a command prints, which must not end it: a reader may go away, a terminal be closed, a log's disk be full."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from segray.errors import ResourceError, SegrayError
from segray.shown import printable, redacted

READER_GONE = (errno.EPIPE, errno.EIO)
"""A closed pipe; a closed terminal."""


class _Lasting:
    """A stream whose text is dropped from the first write on that finds no reader any more.

    Args:
        stream: What to write to.
        drops_all: Whether any other fault drops the text too, such as a full disk, instead of being raised.
    """

    def __init__(self, stream: TextIO, drops_all: bool) -> None:
        self._stream, self.drops_all = stream, drops_all

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or drop it."""
        with self._dropping():
            self._stream.write(text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write texts, or drop them."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hand over what was written, or drop it."""
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
                raise ResourceError(f"cannot write the output: {error}; it is not whole") from None
        except RuntimeError:
            # A signal's handler prints in the middle of a print.
            if not self.drops_all:
                raise

    def _drop_the_rest(self) -> None:
        """Lead the stream's own file to nowhere: what is still in its buffer would fail again when Python ends."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            return
        self._stream = open(os.devnull, "w")  # noqa: SIM115, PTH123 - lives as long as the process


def call_or_exit(command: Callable[[], object], *, drops_all: bool = False) -> None:
    """Call a command line's entry point; a SegrayError is one message on standard error and the error's exit code.

    Args:
        command: What to call.
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
    """Say on standard error what went wrong, without secrets and control characters."""
    print(f"error: {printable(redacted(error))}", file=sys.stderr)


@contextmanager
def lasting_output(*, drops_all: bool) -> Iterator[None]:
    """Let printing go on without a reader, in all libraries of this process.

    Args:
        drops_all: For work whose files are what counts: no fault of the output ends it. Where the output is what a
            command is called for, a full disk is an error.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_lasting(stream, drops_all) for stream in before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


def _lasting(stream: TextIO | None, drops_all: bool) -> TextIO:
    if stream is None:
        # The shell's `>&-`.
        stream = open(os.devnull, "w")  # noqa: SIM115, PTH123 - lives as long as the process
    if isinstance(stream, _Lasting):
        drops_all = drops_all or stream.drops_all
        stream = stream._stream
    with contextlib.suppress(AttributeError):
        # A class's name that the terminal cannot show is no reason to end.
        cast(Any, stream).reconfigure(errors="backslashreplace")
    return cast(TextIO, _Lasting(stream, drops_all))
