"""Model folders: a trained model with everything that loading and judging it needs, without its sweep and data set.

model.safetensors, config.json, label_space.json, preprocessing.json   the files of a checkpoint
model.json                                                             ModelRecord
README.md                                                              the model card
smp/                                                                   SMP's save_pretrained form, of SMP networks
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import safetensors.torch

from segray.config import RunConfig
from segray.data.files.encode import new_folder
from segray.engine.checkpoint import PREPROCESSING
from segray.engine.model_files import MODEL_RECORD, WEIGHTS, file_record
from segray.files import check_new_folder
from segray.inference.export.lineage import find_lineage, find_test_scores
from segray.inference.export.model_card import model_card
from segray.inference.export.smp_form import has_smp_form, save_smp_form
from segray.inference.location import ModelLocation
from segray.inference.soup_record import soup_record
from segray.labels import LabelSpace
from segray.model_record import FileRecord, ModelRecord
from segray.models import SegmentationModel
from segray.objective import CLASS_IOU
from segray.trial_files import undamaged


def write_model_folder(
    target: Path, model: SegmentationModel, config: RunConfig, label_space: LabelSpace, location: ModelLocation
) -> ModelRecord:
    """Write a model folder as a whole or not at all.

    Args:
        target: The folder; it must not exist, or be empty.
        model: The trained model, on the CPU.
        config: The run's config.
        label_space: The classes.
        location: Where the model was found.

    Returns:
        The record that was written as model.json.

    Raises:
        DataError: The folder exists and is not empty.
        StorageError: The folder cannot be written, or lies in the data set or among a sweep's files.
    """
    _make_way(target)
    check_new_folder(target, config.data.root)
    with new_folder(target, "a model folder") as folder:
        folder.mkdir()
        for name, content in _checkpoint_files(model, config, label_space).items():
            (folder / name).write_bytes(content)
        if has_smp_form(config):
            save_smp_form(model, folder / "smp")
        record = _record(location, config, label_space.names, _file_records(folder))
        (folder / MODEL_RECORD).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
        card = model_card(record, model, config, label_space, target.name)
        (folder / "README.md").write_text(card, encoding="utf-8")
    return record


def _make_way(target: Path) -> None:
    """Remove the target if it is an empty folder, because the finished folder takes its place."""
    if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
        with suppress(OSError):  # new_folder says what is wrong
            target.rmdir()


def _checkpoint_files(model: SegmentationModel, config: RunConfig, label_space: LabelSpace) -> dict[str, bytes]:
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    records = {"config.json": config, "label_space.json": label_space, PREPROCESSING: model.normalisation}
    texts = {name: _json(record.model_dump(mode="json")) for name, record in records.items()}
    return {WEIGHTS: safetensors.torch.save(weights), **texts}


def _json(content: object) -> bytes:
    return json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"


def _file_records(folder: Path) -> dict[str, FileRecord]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_record(path.read_bytes()) for path in files}


def _record(
    location: ModelLocation, config: RunConfig, names: Sequence[str], files: dict[str, FileRecord]
) -> ModelRecord:
    earlier, pointer = location.record, location.pointer
    fields: dict[str, object] = {}
    if earlier is not None:
        fields = {"epoch": earlier.epoch, "objective": earlier.objective, "val_scores": earlier.val_scores}
    elif soup := soup_record(location.folder):
        fields = {"objective": soup.objective, "val_scores": {soup.objective: soup.val.soup}}
    elif pointer is not None:
        info = undamaged(location.sweep.info) if location.sweep else None
        # An earlier version kept the classes' IoU apart from the other scores.
        of_classes = pointer.record.class_iou(names) if pointer.record.val_iou else ()
        fields = {
            "epoch": pointer.record.epoch,
            "objective": info.objective.name if info else "",
            "val_scores": pointer.record.scores
            | {CLASS_IOU + name: iou for name, iou in zip(names, of_classes, strict=False)},
        }
    return ModelRecord.model_validate(
        {
            "title": _title(location),
            "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "segray_version": version("segray"),
            "test_scores": find_test_scores(location),
            "lineage": find_lineage(location, config),
            "files": files,
            **fields,
        }
    )


def _title(location: ModelLocation) -> str:
    """Return a title that also holds without the sweep, such as ``demo trial 0002, val mIoU 56.0 %``."""
    if location.record is not None or location.trial is None:
        return location.title
    return f"{location.sweep.name} {location.title}" if location.sweep else location.title
