"""Folders on local disks and object stores: pyarrow filesystems, whose errors become ours."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from pyarrow import fs as pafs

from segray.errors import StorageError


class Guard(Protocol):
    """Whom a folder asks before it is changed; picklable."""

    def check(self) -> None:
        """Raise a SegrayError unless the folder may be changed."""


@dataclass(frozen=True)
class Folder:
    """A folder on a pyarrow filesystem; picklable, so workers get it as it is."""

    filesystem: pafs.FileSystem
    path: str
    guard: Guard | None = None
    """Asked before every change below the folder"""

    @property
    def is_local(self) -> bool:
        """Whether files can be appended to and renamed."""
        return isinstance(self.filesystem, pafs.LocalFileSystem)

    def child(self, name: str) -> Folder:
        """The folder or file ``name`` below this one; not created."""
        return replace(self, path=f"{self.path}/{name}")

    @property
    def parent(self) -> Folder:
        """The folder that holds this one."""
        return replace(self, path=self.path.rpartition("/")[0] or "/")

    def exists(self, name: str = "") -> bool:
        """Whether the file or folder is there."""
        return bool(self._info(name).type != pafs.FileType.NotFound)

    def names(self, name: str = "") -> list[str]:
        """Sorted names of the files and folders directly inside; empty if there is no such folder."""
        selector = pafs.FileSelector(self._at(name), allow_not_found=True)
        with self._reaching(name):
            return sorted(info.base_name for info in self.filesystem.get_file_info(selector))

    def read_bytes(self, name: str) -> bytes:
        """Whole content of a file.

        Raises:
            StorageError: The file is missing or cannot be read.
        """
        try:
            with self.filesystem.open_input_stream(self._at(name)) as stream:
                return bytes(stream.read())
        except OSError as error:
            raise StorageError(f"cannot read {self._at(name)!r}: {error}") from None

    def write_bytes(self, name: str, content: bytes | memoryview) -> None:
        """Write a whole file; on local disks by rename, so that nobody reads half of it.

        Raises:
            StorageError: The place cannot be written.
        """
        self._check_guard()
        target = self._at(name)
        try:
            self.filesystem.create_dir(target.rpartition("/")[0], recursive=True)
            if self.is_local:
                partial = f"{target}.partial-{os.getpid()}"
                Path(partial).write_bytes(content)
                Path(partial).replace(target)
            else:
                with self.filesystem.open_output_stream(target) as stream:
                    stream.write(content)
        except OSError as error:
            raise StorageError(f"cannot write {target!r}: {error}; choose a storage path you may write to") from None

    def write_new_json(self, name: str, content: Mapping[str, Any]) -> bool:
        """Write a mapping unless the file is there, which on local disks only one process can; returns whether it did.

        Raises:
            StorageError: The place cannot be written.
        """
        if self.exists(name):
            return False
        if not self.is_local:
            self.write_json(name, content)
            return True
        whole = f"{name}.new-{os.getpid()}-{threading.get_ident()}"
        self.write_json(whole, content)
        try:
            os.link(self._at(whole), self._at(name))
        except FileExistsError:
            return False
        except OSError as error:
            raise StorageError(f"cannot write {self._at(name)!r}: {error}") from None
        finally:
            self.delete(whole)
        return True

    def append_line(self, name: str, line: str) -> None:
        """Append to a text file, after what a crash may have left of an earlier line; local filesystems only."""
        self._check_guard()
        self.filesystem.create_dir(self.path, recursive=True)
        with Path(self._at(name)).open("ab+") as file:
            cut = file.seek(0, os.SEEK_END) > 0 and not _ends_in_newline(file)
            file.write((b"\n" if cut else b"") + line.encode() + b"\n")

    def delete(self, name: str = "") -> None:
        """Delete a file or a whole folder if it is there."""
        self._check_guard()
        kind = self._info(name).type
        with self._reaching(name):
            if kind == pafs.FileType.Directory:
                self.filesystem.delete_dir(self._at(name))
            elif kind == pafs.FileType.File:
                self.filesystem.delete_file(self._at(name))

    def read_json(self, name: str) -> Any:
        """Parsed content of a JSON file, or None if it is missing.

        Raises:
            StorageError: The file cannot be read or is damaged.
        """
        try:
            return json.loads(self.read_bytes(name))
        except StorageError:
            if self.exists(name):
                raise
            return None
        except ValueError as error:
            raise StorageError(f"{self._at(name)!r} is damaged ({error}); restore it, or begin anew") from None

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a mapping as indented JSON."""
        self.write_bytes(name, json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")

    def _check_guard(self) -> None:
        if self.guard is not None:
            self.guard.check()

    def _at(self, name: str) -> str:
        return f"{self.path}/{name}" if name else self.path

    def _info(self, name: str) -> pafs.FileInfo:
        with self._reaching(name):
            return self.filesystem.get_file_info(self._at(name))

    @contextmanager
    def _reaching(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"cannot reach {self._at(name)!r}: {error}; choose a storage path you may use") from None


def open_folder(location: str | Path) -> Folder:
    """The folder at a local path or pyarrow filesystem URL; not created.

    Raises:
        StorageError: The URL's scheme is unknown or the store cannot be reached.
    """
    text = str(location)
    if "://" not in text:
        return Folder(pafs.LocalFileSystem(), str(Path(text).expanduser().absolute()))
    try:
        filesystem, path = pafs.FileSystem.from_uri(text)
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot open storage {text!r}: {error}") from None
    return Folder(filesystem, path.rstrip("/"))


def location_below(location: str, name: str) -> str:
    """Path or URL of ``name`` below a path or URL; a URL's query, such as ``?region=eu-west-1``, stays at its end."""
    path, mark, query = location.partition("?") if "://" in location else (location, "", "")
    return f"{path.rstrip('/')}/{name}{mark}{query}"


def _ends_in_newline(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
