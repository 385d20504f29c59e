"""The errors that a person can act on.

    SegrayError
    ├── ConfigError      a key, value, choice or combination that cannot work
    ├── DataError        a data set that is missing, incomplete or does not decode
    ├── ResourceError    more workers, GPUs, memory or disk than there are
    ├── StorageError     a sweep folder that cannot be written or read, or is taken
    │   ├── DamagedError   a file of the sweep does not hold what it should
    │   ├── OutageError    the storage is out of reach, and may be back soon
    │   └── WriteError     the storage is full or read-only
    ├── ClusterError     the Ray cluster failed under a running sweep
    └── SweepTakenError  another start has taken the sweep over, so this start must not write any more

Every message says what is wrong, the rule, the value got, and the fix or the choices. The command line prints the
message without a traceback and exits with the error's `exit_code`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class SegrayError(Exception):
    """The parent of every error that segray raises on purpose."""

    exit_code = 2
    """Exit code of the command that the error ends"""


class ConfigError(SegrayError):
    """A key, value, choice or combination of choices that cannot work."""


class DataError(SegrayError):
    """A data set that is missing, incomplete, or does not decode.

    Args:
        message: What is wrong, with the first few problems.
        problems: All problems, each naming its file; by default only the message.
    """

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems) or (message,)


class ResourceError(SegrayError):
    """More workers, GPUs, memory or disk than there are."""


class StorageError(SegrayError):
    """A sweep folder that cannot be written or read, or is already taken."""


class DamagedError(StorageError):
    """A file of a sweep that does not hold what it should.

    Args:
        path: The file.
        reason: Why the file cannot be used.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.reason = reason
        self.in_short = f"its {path.rpartition('/')[2]} is damaged ({reason})"
        """The message as it follows "trial 0003: " and the like"""

    def __str__(self) -> str:
        path, reason = self.args
        return f"{path!r} is damaged or from another version ({reason}); restore it from a backup, or start a new sweep"


class OutageError(StorageError):
    """Storage that is out of reach, such as a network file system whose server is down; it may be back soon."""


class WriteError(StorageError):
    """Storage that cannot be written: it is full or read-only, or belongs to another person."""


class ClusterError(SegrayError):
    """The Ray cluster, or a part of it that the driver cannot do without, failed under a running sweep.

    Args:
        what: The part that failed.
    """

    exit_code = 3

    def __str__(self) -> str:
        return f"the Ray cluster failed: {self.args[0]}; the same command with --resume goes on from the last epochs"


class SweepTakenError(SegrayError):
    """Another start has taken the sweep over, because this start was silent: it must not write any more."""


def unknown_name(kind: str, name: str, choices: Iterable[str]) -> str:
    """Return the message for a name that is not among the choices, with the nearest valid names first.

    Args:
        kind: The kind of name, such as ``"policy"``.
        name: The name got.
        choices: All valid names.
    """
    valid = sorted(choices)
    near = get_close_matches(name, valid, n=3, cutoff=0.5)
    hint = f"did you mean {_or(near)}?" if near else f"choose from {', '.join(valid[:20])}"
    more = f" (and {len(valid) - 20} more)" if not near and len(valid) > 20 else ""
    return f"unknown {kind} {name!r}; {hint}{more}"


def listed(items: Sequence[str], limit: int = 10) -> str:
    """Return the first ``limit`` items, one per line, and the number of the others."""
    lines = "".join(f"\n  {item}" for item in items[:limit])
    rest = len(items) - limit
    return lines + (f"\n  ... and {rest} more" if rest > 0 else "")


def _or(names: Sequence[str]) -> str:
    quoted = [repr(name) for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
