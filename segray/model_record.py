"""The record of a model folder: what the model is, where it comes from, and which files belong to it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from segray.records import Count, StoredRecord
from segray.split_scores import SplitScores


class FileRecord(StoredRecord):
    """A file of a model folder, so that a copy that was cut off or mixed up is noticed."""

    num_bytes: Count
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Provenance(StoredRecord):
    """Where a model comes from. What is not known is empty."""

    sweep: str = ""
    """Name of the sweep or run"""
    trial: str = ""
    soup_of: tuple[str, ...] = ()
    """Ids of the trials whose weights were averaged, if the model is a soup"""
    recipe: str = ""
    """The published system that the sweep started from"""
    values: dict[str, object] = Field(default={})
    """Dotted key -> value that the search drew for the trial"""
    seeds: dict[str, int] = Field(default={})
    """``sweep`` and ``trial`` -> seed"""
    git_revision: str = ""
    dataset: str = ""
    data_fingerprint: str = ""
    """Hash of the names and sizes in splits.json: equal for equal images in equal splits"""
    num_images: dict[str, int] = Field(default={})
    """train, val and test -> number of images"""
    trained_with: dict[str, str] = Field(default={})
    """Package -> version on the machine that trained the model"""


class ModelRecord(StoredRecord):
    """The content of model.json, which makes a folder a model folder: what the model is and where it comes from."""

    format_version: Literal[1] = 1
    title: str
    """The model in a few words"""
    exported_at: str
    """ISO 8601, UTC"""
    segray_version: str
    epoch: Count | None = None
    """The epoch of the weights"""
    objective: str = ""
    """The score that trials were compared by"""
    val_scores: dict[str, float | None] = Field(default={})
    """Scores of that epoch's validation, as in ``EpochRecord``"""
    test_scores: SplitScores | None = None
    """Scores on the test split, if this model was evaluated on it"""
    lineage: Provenance = Provenance()
    files: dict[str, FileRecord]
    """Path in the folder -> its size and hash; README.md is not listed, because people edit it"""
