"""The record in a folder of predictions: which model made them, and how; a resume goes on only in the same way."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from pydantic import ValidationError

from segray.errors import StorageError
from segray.folder import Folder
from segray.foreign import in_short
from segray.inference.predictor import Predictor
from segray.records import StoredRecord

RECORD: Final = "predictions.json"


class PredictionRecord(StoredRecord):
    """The model and the way of predicting behind a folder of predictions."""

    title: str
    """The model in a few words"""
    model: str
    """Folder of the checkpoint or model"""
    num_models: int = 1
    """Number of models that predict together"""
    models: tuple[str, ...] = ()
    """Folder of each model, if several predict together"""
    window_px: tuple[int, int] | None
    """(height, width) of sliding windows, if photos were predicted in windows"""
    overlap: float
    tta: str
    """Test-time augmentation"""
    classes: tuple[str, ...]
    """Class names in the order of training ids"""
    version: str
    """Version of segray"""


def record_of(model: Predictor) -> PredictionRecord:
    """Return the record of predictions that a model is about to make."""
    return PredictionRecord(
        title=model.title,
        model=model.location.folder.path if model.location else "",
        num_models=len(model.models),
        models=tuple(found.folder.path for found in model.locations) if len(model.models) > 1 else (),
        window_px=model.window_px,
        overlap=model.overlap,
        tta=model.tta,
        classes=model.names,
        version=version("segray"),
    )


def begin(folder: Folder, record: PredictionRecord, *, resume: bool) -> None:
    """Write the record; on a resume, first compare it with the one that is there.

    Raises:
        StorageError: The predictions that are there were made by another model or in another way; or the record
            cannot be read or written.
    """
    found = folder.read_json(RECORD) if resume else None
    if found is not None:
        try:
            before = PredictionRecord.model_validate(found)
        except ValidationError as error:
            raise folder.damaged(RECORD, in_short(error)) from None
        changes = [
            f"{name} was {getattr(before, name)!r} and is {getattr(record, name)!r}"
            for name in ("model", "num_models", "models", "window_px", "overlap", "tta", "classes")
            if getattr(before, name) != getattr(record, name)
        ]
        if changes:
            raise StorageError(
                f"--resume cannot go on with the predictions in {folder.path!r}, which were made in another way: "
                f"{'; '.join(changes)}; repeat the earlier options, or pass --overwrite to predict all photos again"
            )
    folder.write_json(RECORD, record.model_dump(mode="json"))
