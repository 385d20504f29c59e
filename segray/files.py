"""Local files that are there as a whole or not at all, also after a crash, a power cut or a full disk."""

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
"""What file systems say that cannot wait for a folder, or let nobody but its owner do so."""


_SHOWN: Final = (".html", ".png", ".jpg", ".jpeg")
"""What a person may keep beside a sweep's own files."""


def expanded(path: str | Path) -> Path:
    """A path as the shell reads it: ``~`` is the home folder, and before a name of nobody it stays what it is."""
    # pathlib raises there.
    return Path(os.path.expanduser(path))  # noqa: PTH111


def output_path(path: str | Path, *, inputs: Iterable[str | Path] = (), data_root: str | Path = "") -> Path:
    """The file that a command is to write, links resolved; asked before the command's work is done.

    Args:
        path: Where the person wants it.
        inputs: Files that the command reads.
        data_root: Folder of the data set that the command is about; empty where there is none.

    Raises:
        StorageError: It cannot be written there, or would replace or join what is to be kept: an input, a data set, or
            the files of a sweep.
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
    """Refuse a folder to make that would lie in a data set or among a sweep's files; its parents may be missing.

    Raises:
        StorageError: It would.
    """
    _check_kept(expanded(path).resolve(), [], data_root)


def _check_kept(target: Path, inputs: list[Path], data_root: str | Path) -> None:
    for file in inputs:
        if target == file.resolve() or (target.exists() and file.exists() and target.samefile(file)):
            raise _cannot_write(target, f"it is the input {str(file)!r}; name another file")
    if data_root and target.is_relative_to(expanded(data_root).resolve()):
        raise _cannot_write(target, f"it lies in the data set at {str(data_root)!r}; name a place outside of it")
    sweep = next((folder for folder in target.parents if (folder / "sweep.json").is_file()), None)
    if sweep is not None and not (target.parent == sweep and target.suffix.lower() in _SHOWN):
        raise _cannot_write(
            target,
            f"it lies among the files of the sweep at {str(sweep)!r}, where only {', '.join(_SHOWN)} may be added; "
            "name a place outside of it",
        )


def _cannot_write(path: str | Path, why: str) -> StorageError:
    return StorageError(f"cannot write {str(path)!r}: {why}")


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Replace a file; its folder is made. When this returns, the content is on the disk.

    Raises:
        OSError: The file cannot be written; nothing is left of the attempt.
    """
    with partial_file(path, content) as partial:
        partial.replace(path)
    sync_folder(path.parent)


def write_new(path: Path, content: bytes) -> bool:
    """Write a file unless there is one, which only one of several processes can; returns whether this one did.

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
    """A file beside ``path`` that holds the content on the disk; to be renamed or linked, else it goes at the end."""
    make_folder(path.parent)
    partial = path.with_name(f"{path.name}{_PARTIAL}{os.getpid()}-{threading.get_ident()}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def append_line(path: Path, line: str) -> None:
    """Append a line to a text file, after what a crash may have left of an earlier one; it is on the disk then.

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
    """Make a folder and its parents where they are missing, so that a power cut cannot take them away.

    Raises:
        OSError: It cannot be made.
    """
    if path.is_dir():
        return
    if path.parent != path:
        make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Wait until a folder's list of names is on the disk, where the file system can wait."""
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
    """Remove what writers that were killed left below a folder; links are not followed.

    For the one process that may write there.
    """
    for parent, _, names in os.walk(folder):
        for name in names:
            if _PARTIAL in name:
                with suppress(OSError):  # another person's: it costs room, no more
                    Path(parent, name).unlink()
