"""Write local files completely or not at all, even in a crash, a power cut or on a full disk."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from segray.errors import StorageError

_PARTIAL: Final = ".partial-"

_CANNOT_SYNC: Final = (errno.EINVAL, errno.ENOTSUP, errno.EACCES)
"""Errors of file systems that cannot sync a folder, or let only the folder's owner do so."""


_OUTPUT_SUFFIXES: Final = (".html", ".png", ".jpg", ".jpeg", ".mp4", ".gif", ".zip")
"""Kinds of files that a person may keep beside a sweep's own files."""


def expanded(path: str | Path) -> Path:
    """Return a path as the shell reads it: ``~`` is the home folder; ``~nobody`` without such a user stays as it is."""
    # pathlib's expanduser raises for an unknown user.
    return Path(os.path.expanduser(path))  # noqa: PTH111


def output_path(path: str | Path, *, inputs: Iterable[str | Path] = (), data_root: str | Path = "") -> Path:
    """Return the file that a command shall write, with links resolved; called before the command does its work.

    Args:
        path: The path that the person gave.
        inputs: Files that the command reads.
        data_root: Folder of the data set that the command is about; empty if there is none.

    Raises:
        StorageError: The file cannot be written, would replace an input, or would lie in a data set or among the files
            of a sweep.
    """
    try:
        target = expanded(path).resolve()
        _check_kept(target, [expanded(file) for file in inputs], data_root)
        if not target.parent.is_dir():
            raise _cannot_write(path, f"there is no folder {str(target.parent)!r}; make it first")
        if target.is_dir():
            raise _cannot_write(path, "it is a folder; give a file name in it")
        if not os.access(target.parent, os.W_OK | os.X_OK):
            raise _cannot_write(path, "its folder may not be written to; name another")
    except (OSError, ValueError, RuntimeError) as error:
        raise _cannot_write(path, getattr(error, "strerror", None) or str(error)) from None
    return target


def check_new_folder(path: Path, data_root: str | Path = "") -> None:
    """Check that a new folder would not lie in a data set or among a sweep's files; its parents may be missing.

    Raises:
        StorageError: It would lie there.
    """
    _check_kept(expanded(path).resolve(), [], data_root)


def _check_kept(target: Path, inputs: list[Path], data_root: str | Path) -> None:
    for file in inputs:
        if target == file.resolve() or (target.exists() and file.exists() and target.samefile(file)):
            raise _cannot_write(target, f"it is the input {str(file)!r}; name another file")
    if data_root and target.is_relative_to(expanded(data_root).resolve()):
        raise _cannot_write(target, f"it lies in the data set at {str(data_root)!r}; name a place outside of it")
    sweep = next((folder for folder in target.parents if (folder / "sweep.json").is_file()), None)
    if sweep is not None and not (target.parent == sweep and target.suffix.lower() in _OUTPUT_SUFFIXES):
        raise _cannot_write(
            target,
            f"it lies among the files of the sweep at {str(sweep)!r}, where only {', '.join(_OUTPUT_SUFFIXES)} may be "
            "added; name a place outside of it",
        )


def _cannot_write(path: str | Path, why: str) -> StorageError:
    return StorageError(f"cannot write {str(path)!r}: {why}")


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Replace a file, and make its folder if needed. The content is on the disk when this returns.

    Raises:
        OSError: The file cannot be written; nothing is left of the attempt.
    """
    with partial_file(path, content) as partial:
        partial.replace(path)
    sync_folder(path.parent)


def write_new(path: Path, content: bytes) -> bool:
    """Write a file unless it exists, and return whether it was written; only one of several processes succeeds.

    Raises:
        OSError: The file cannot be written; nothing is left of the attempt.
    """
    with partial_file(path, content) as partial:
        try:
            os.link(partial, path)
        except FileExistsError:
            return False
    sync_folder(path.parent)
    return True


@contextmanager
def partial_file(path: Path, content: bytes | memoryview) -> Iterator[Path]:
    """Write the content to a file beside ``path`` that the caller renames or links; otherwise it is deleted again."""
    make_folder(path.parent)
    partial = _partial(path)
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield partial
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def growing_file(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to, bit by bit; the file there replaces ``path`` when the context ends.

    After an error or Ctrl-C, nothing is left of the attempt.
    """
    partial = _partial(path)
    try:
        yield partial
        sync(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}{_PARTIAL}{os.getpid()}-{threading.get_ident()}")


def append_line(path: Path, line: str) -> None:
    """Append a line to a text file and wait until it is on the disk; first end a line that a crash cut off.

    Raises:
        OSError: The file cannot be written.
    """
    make_folder(path.parent)
    with path.open("ab+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        is_cut = size > 0 and file.read(1) != b"\n"
        file.write((b"\n" if is_cut else b"") + line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def make_folder(path: Path) -> None:
    """Make a folder and its missing parents, so that a power cut cannot take them away.

    Raises:
        OSError: A folder cannot be made.
    """
    if path.is_dir():
        return
    if path.parent != path:
        make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Wait until a folder's list of names is on the disk, if the file system can do that."""
    try:
        sync(path)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partials(folder: Path) -> None:
    """Remove the partial files of killed writers below a folder; links are not followed.

    Only the one process that may write below the folder may call this.
    """
    for parent, _, names in os.walk(folder):
        for name in names:
            if _PARTIAL in name:
                with suppress(OSError):  # a file of another person only takes some space
                    Path(parent, name).unlink()
