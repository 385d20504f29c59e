"""Files in a data set's folders that belong to no image: counted in one line, or listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

NUM_NAMED: Final = 20
"""Most files that a line of the list names."""


class Unused(NamedTuple):
    """A file that belongs to no image."""

    path: Path
    why: str
    """The reason, in words that fit behind a count, such as ``.gif`` or ``in sub-folders``"""


def unused_in_short(unused: Sequence[Unused]) -> str:
    """Return one line, such as ``7 files are not used: 3 .gif, 4 in sub-folders; segray data check lists them``."""
    counts = Counter(file.why for file in unused).most_common()
    kinds = ", ".join(f"{count} {why}" for why, count in counts)
    return f"{_files(len(unused))} not used: {kinds}; segray data check lists them"


def unused_in_full(unused: Sequence[Unused]) -> list[str]:
    """Return a line for every folder and reason."""
    groups: dict[tuple[Path, str], list[str]] = {}
    for path, why in unused:
        groups.setdefault((path.parent, why), []).append(path.name)
    return [
        f"{_files(len(names))} not used ({why}) in {folder}: {', '.join(names[:NUM_NAMED])}"
        + (f" and {len(names) - NUM_NAMED} more" if len(names) > NUM_NAMED else "")
        for (folder, why), names in groups.items()
    ]


def _files(count: int) -> str:
    return "1 file is" if count == 1 else f"{count} files are"
