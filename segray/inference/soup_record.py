"""The record of a soup, soup.json in its folder: what it was made of, and what it gained."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from segray.folder import Folder
from segray.foreign import in_short
from segray.records import StoredRecord

SOUP_FILE: Final = "soup.json"


class Gain(StoredRecord):
    """Scores on one split, at the size of training; None where they could not be measured."""

    best_trial: float | None
    soup: float | None


class SoupRecord(StoredRecord):
    """The trials of a soup and its scores."""

    run: str
    """Name of the sweep"""
    method: str
    objective: str
    """The score that was measured"""
    trials: tuple[str, ...]
    """Ids of the trials whose weights were averaged, the best first"""
    val: Gain
    test: Gain
    batch_norm: str
    """How the statistics of BatchNorm layers were made"""


def soup_record(folder: Folder) -> SoupRecord | None:
    """Return the record of a soup, or None if a folder holds no soup.

    Raises:
        DamagedError: The file is damaged.
    """
    content = folder.read_json(SOUP_FILE)
    try:
        return None if content is None else SoupRecord.model_validate(content)
    except ValidationError as error:
        raise folder.damaged(SOUP_FILE, in_short(error)) from None
