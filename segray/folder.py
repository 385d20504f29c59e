"""Folders on local disks and object stores: pyarrow filesystems whose errors become SegrayErrors."""

from __future__ import annotations

import errno
import functools
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, Protocol, TypeVar

from pyarrow import fs as pafs

from segray.errors import DamagedError, OutageError, StorageError, WriteError
from segray.files import append_line, expanded, remove_partials, write_new, write_whole
from segray.foreign import in_short, parse_json
from segray.shown import redacted

RETRY_SECONDS: Final = 2.0
"""Time between two tries to reach storage that is out of reach."""

_OUTAGES: Final = {
    *(errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.EREMOTEIO, errno.ETIMEDOUT),
    *(errno.ENOTCONN, errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED),
    *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET),
}
"""Errors of a network file system whose server is down. Errors of a full or read-only disk are not among them."""

P = ParamSpec("P")
T = TypeVar("T")


class Guard(Protocol):
    """A check that a folder makes before every change; picklable."""

    def check(self) -> None:
        """Raise a SegrayError unless the folder may be changed."""


def _patient(method: Callable[Concatenate[Folder, P], T]) -> Callable[Concatenate[Folder, P], T]:
    """Make a method of `Folder` try again during an outage, for as long as the folder's patience lasts."""

    @functools.wraps(method)
    def wait_out(self: Folder, /, *args: P.args, **kwargs: P.kwargs) -> T:
        deadline = time.monotonic() + self.patience_seconds
        has_spoken = False
        while True:
            try:
                return method(self, *args, **kwargs)
            except OutageError as error:
                if time.monotonic() >= deadline:
                    raise
                if not has_spoken:
                    print(f"{error}; waiting for it up to {self.patience_seconds:.0f} s", file=sys.stderr, flush=True)
                    has_spoken = True
            time.sleep(RETRY_SECONDS)

    return wait_out


@dataclass(frozen=True)
class Folder:
    """A folder on a pyarrow filesystem; picklable, so that workers can use it."""

    filesystem: pafs.FileSystem
    path: str
    guard: Guard | None = None
    """Checks every change below the folder"""
    root: str = ""
    """The folder that was opened; nothing outside of it is deleted. Empty if it is this folder"""
    patience_seconds: float = 0.0
    """Time that every call waits for storage that is out of reach"""

    @property
    def is_local(self) -> bool:
        """Whether the folder is on a local filesystem, where files can be appended to and renamed."""
        return isinstance(self.filesystem, pafs.LocalFileSystem)

    def child(self, name: str) -> Folder:
        """Return the folder or file ``name`` below this folder; it is not created."""
        return replace(self, path=f"{self.path}/{name}", root=self.root or self.path)

    @property
    def parent(self) -> Folder:
        """The folder that holds this one."""
        return replace(self, path=self.path.rpartition("/")[0] or "/", root="")

    def exists(self, name: str = "") -> bool:
        """Return whether the file or folder exists."""
        return bool(self._info(name).type != pafs.FileType.NotFound)

    def is_file(self, name: str) -> bool:
        """Return whether there is a file of this name."""
        return bool(self._info(name).type == pafs.FileType.File)

    def num_bytes(self, name: str) -> int:
        """Return the size of a file; 0 if there is no such file."""
        return int(self._info(name).size or 0)

    @_patient
    def names(self, name: str = "") -> list[str]:
        """Return the sorted names of the files and folders directly inside; empty if the folder does not exist."""
        selector = pafs.FileSelector(self._at(name), allow_not_found=True)
        with self._reaching(name):
            return sorted(info.base_name for info in self.filesystem.get_file_info(selector))

    @_patient
    def files_below(self, name: str = "") -> list[str]:
        """Return the paths of all files at any depth, relative to the folder, sorted; empty if there is no folder."""
        selector = pafs.FileSelector(self._at(name), allow_not_found=True, recursive=True)
        start = len(self._at(name)) + 1
        with self._reaching(name):
            infos = self.filesystem.get_file_info(selector)
        return sorted(info.path[start:] for info in infos if info.type == pafs.FileType.File)

    @_patient
    def read_bytes(self, name: str) -> bytes:
        """Return the whole content of a file.

        Raises:
            StorageError: The file is missing or cannot be read.
        """
        try:
            with self.filesystem.open_input_stream(self._at(name)) as stream:
                return bytes(stream.read())
        except OSError as error:
            kind = OutageError if _is_outage(error) else StorageError
            raise kind(f"cannot read {self._at(name)!r}: {error}") from None

    @_patient
    def write_bytes(self, name: str, content: bytes | memoryview) -> None:
        """Write a file so that nobody reads half of it; a local file is on the disk when this returns.

        Raises:
            StorageError: The file cannot be written; nothing is left of the attempt.
        """
        with self._writing(name) as target:
            if self.is_local:
                write_whole(Path(target), content)
                return
            self.filesystem.create_dir(target.rpartition("/")[0], recursive=True)
            with self.filesystem.open_output_stream(target) as stream:
                stream.write(content)

    @_patient
    def write_new_json(self, name: str, content: Mapping[str, object]) -> bool:
        """Write a mapping unless the file exists, and return whether it was written.

        On local disks, only one of several processes succeeds.

        Raises:
            StorageError: The file cannot be written.
        """
        if self.exists(name):
            return False
        if not self.is_local:
            self.write_json(name, content)
            return True
        with self._writing(name) as target:
            return write_new(Path(target), _json_bytes(content))

    @_patient
    def append_line(self, name: str, line: str) -> None:
        """Append a line to a text file, after ending a line that a crash cut off; local filesystems only.

        Raises:
            StorageError: The file cannot be written.
        """
        with self._writing(name) as target:
            append_line(Path(target), line)

    @_patient
    def delete(self, name: str = "") -> None:
        """Delete a file or a whole folder if it exists; for a link, delete only the link.

        Raises:
            StorageError: The file or folder cannot be deleted, or lies behind a link in the opened folder.
        """
        self.check_guard()
        with self._reaching(name):
            if self.is_local:
                self._delete_local(Path(self._at(name)))
                return
            kind = self._info(name).type
            if kind == pafs.FileType.Directory:
                self.filesystem.delete_dir(self._at(name))
            elif kind == pafs.FileType.File:
                self.filesystem.delete_file(self._at(name))

    def remove_partials(self) -> None:
        """Remove the partial files of killed writers; only the one process that may write here may call this."""
        self.check_guard()
        if self.is_local:
            remove_partials(Path(self.path))

    def read_json(self, name: str) -> object:
        """Return the parsed content of a JSON file, or None if the file is missing.

        Raises:
            DamagedError: The file is not JSON, or holds only null.
            StorageError: The file cannot be read.
        """
        try:
            content = parse_json(self.read_bytes(name))
        except StorageError:
            kind = self._info(name).type
            if kind == pafs.FileType.NotFound:
                return None
            if kind == pafs.FileType.Directory:
                raise self.damaged(name, "it is a folder") from None
            raise
        except ValueError as error:
            raise self.damaged(name, in_short(error)) from None
        if content is None:
            raise self.damaged(name, "it holds nothing but null")
        return content

    def damaged(self, name: str, reason: str) -> DamagedError:
        """Return the error for a file whose content cannot be used."""
        return DamagedError(self._at(name), reason)

    def write_json(self, name: str, content: Mapping[str, object]) -> None:
        """Write a mapping as indented JSON."""
        self.write_bytes(name, _json_bytes(content))

    def _delete_local(self, target: Path) -> None:
        root = Path(self.root or self.path)
        if target != root and not target.parent.resolve().is_relative_to(root.resolve()):
            raise StorageError(
                f"{str(target)!r} is not deleted, because a link leads there from {str(root)!r}; replace the link by "
                "the folder itself"
            )
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)

    @_patient
    def check_guard(self) -> None:
        """Raise a SegrayError unless the folder may be changed."""
        if self.guard is None:
            return
        self.guard.check()
        # The guard's last look may be a moment old: a folder unmounted since then must not be made on another disk.
        if self.is_local and not Path(self.root or self.path).is_dir():
            raise OutageError(f"the folder {self.root or self.path!r} is out of reach, or gone")

    def _at(self, name: str) -> str:
        return f"{self.path}/{name}" if name else self.path

    @_patient
    def _info(self, name: str) -> pafs.FileInfo:
        with self._reaching(name):
            return self.filesystem.get_file_info(self._at(name))

    @contextmanager
    def _writing(self, name: str) -> Iterator[str]:
        self.check_guard()
        try:
            yield self._at(name)
        except OSError as error:
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            fix = "make room there" if is_full else "choose a storage path you may write to"
            kind = OutageError if _is_outage(error) else WriteError
            raise kind(f"cannot write {self._at(name)!r}: {error}; {fix}") from None

    @contextmanager
    def _reaching(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kind = OutageError if _is_outage(error) else StorageError
            raise kind(f"cannot reach {self._at(name)!r}: {error}; choose a storage path you may use") from None


def open_folder(location: str | Path) -> Folder:
    """Return the folder at a local path or pyarrow filesystem URL; it is not created.

    Raises:
        StorageError: The URL's scheme is unknown or the store cannot be reached.
    """
    text = str(location)
    if "\0" in text:
        raise StorageError(redacted(f"storage must be a path or a URL without NUL characters, but got {text!r}"))
    if "://" not in text:
        return Folder(pafs.LocalFileSystem(), str(expanded(text).absolute()))
    try:
        filesystem, path = pafs.FileSystem.from_uri(text)
    except (OSError, ValueError) as error:
        raise StorageError(redacted(f"cannot open storage {text!r}: {error}")) from None
    return Folder(filesystem, path.rstrip("/"))


def location_below(location: str, name: str) -> str:
    """Return the path or URL of ``name`` below a path or URL; a URL's query (``?region=eu-west-1``) stays last."""
    path, mark, query = location.partition("?") if "://" in location else (location, "", "")
    return f"{path.rstrip('/')}/{name}{mark}{query}"


def split_location(location: str) -> tuple[str, str]:
    """Return the path or URL above a path or URL, and the name below it: the arguments of ``location_below``."""
    if "://" not in location:
        local = Path(location)
        # The last part of "." and ".." is no name.
        local = local if local.name not in ("", "..") else expanded(location).resolve()
        return str(local.parent), local.name
    path, mark, query = location.partition("?")
    above, _, name = path.rstrip("/").rpartition("/")
    return f"{above}{mark}{query}", name


def _is_outage(error: OSError) -> bool:
    # Object stores give neither an error number nor a subclass for a network that is down.
    return error.errno in _OUTAGES or (error.errno is None and type(error) is OSError)


def _json_bytes(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"
