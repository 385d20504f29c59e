"""The log of a trial, for a person to read."""

from __future__ import annotations

from datetime import UTC, datetime

from segray.folder import Folder


class TrialLog:
    """The trial's log.txt with one line per event; with folder None (ranks other than 0), nothing is kept."""

    def __init__(self, folder: Folder | None) -> None:
        self._folder = folder
        earlier = folder is not None and not folder.is_local and folder.exists("log.txt")
        self._lines = folder.read_bytes("log.txt").decode(errors="replace").splitlines() if folder and earlier else []

    def write(self, text: str) -> None:
        """Add lines, each with the time of day (UTC)."""
        if self._folder is None:
            return
        lines = [f"{datetime.now(UTC):%H:%M:%S} {line}" for line in text.splitlines()]
        if self._folder.is_local:
            self._folder.append_line("log.txt", "\n".join(lines))
        else:
            self._lines += lines
            self._folder.write_bytes("log.txt", "\n".join(self._lines).encode() + b"\n")
