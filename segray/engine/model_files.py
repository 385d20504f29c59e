"""The files of a model folder, held against the hashes in its model.json before anything is loaded."""

from __future__ import annotations

import hashlib
from typing import Final

from pydantic import ValidationError

from segray.errors import StorageError
from segray.folder import Folder
from segray.foreign import in_short
from segray.model_record import FileRecord, ModelRecord

MODEL_RECORD: Final = "model.json"
WEIGHTS: Final = "model.safetensors"
LOADED: Final = (WEIGHTS, "config.json", "label_space.json", "preprocessing.json")
"""The files that a model is loaded from; a model folder has all of them."""

_PICKLES: Final = (b"\x80", b"PK\x03\x04")
"""How pickles begin: the protocol's mark, and the zip file in which torch.save keeps them."""
_PICKLE_SUFFIXES: Final = (".pt", ".pth", ".bin", ".pkl", ".ckpt")
_TRAINING_STATE: Final = "training.pt"


def read_model_record(folder: Folder) -> ModelRecord | None:
    """Return the content of model.json, or None if the folder has none.

    Raises:
        DamagedError: The file is damaged or from a later version.
    """
    content = folder.read_json(MODEL_RECORD)
    try:
        return None if content is None else ModelRecord.model_validate(content)
    except ValidationError as error:
        raise folder.damaged(MODEL_RECORD, in_short(error)) from None


def check_model_files(folder: Folder) -> None:
    """Check the files of a model folder, if it is one: each is there, whole, and the one that was exported.

    Raises:
        StorageError: A file is missing, cut off, from another model, or a pickle; the message names the file.
    """
    record = read_model_record(folder)
    if record is None:
        return
    for name in LOADED:
        if name not in record.files:
            raise folder.damaged(MODEL_RECORD, f"it does not list {name}")
        if not folder.is_file(name):
            raise _refusal(folder, name, "is missing")
        content = folder.read_bytes(name)
        check_no_pickle(folder, name, content)
        if problem := _problem(content, record.files[name]):
            raise _refusal(folder, name, problem)


def check_no_pickle(folder: Folder, name: str, content: bytes) -> None:
    """Check that a file is not a pickle, whatever its name says.

    Raises:
        StorageError: It is.
    """
    # A safetensors file begins with the length of its header, whose lowest byte may be a pickle's mark.
    if content.startswith(_PICKLES) and content[8:9] != b"{":
        raise StorageError(
            f"{folder.path}/{name} is a pickle, which could run any code when it is loaded; segray loads weights only "
            "from safetensors: save them with safetensors.torch.save_file, or export the model again"
        )


def check_weights_there(folder: Folder) -> None:
    """Check that a folder does not hold its weights only as a pickle.

    Raises:
        StorageError: It has no model.safetensors, but a pickle.
    """
    if folder.is_file(WEIGHTS):
        return
    pickles = [name for name in folder.names() if name.endswith(_PICKLE_SUFFIXES) and name != _TRAINING_STATE]
    if pickles:
        raise StorageError(
            f"{folder.path!r} must hold {WEIGHTS}, but holds {pickles[0]}, a pickle, which could run any code when it "
            "is loaded; save its weights with safetensors.torch.save_file, or export the model again"
        )


def file_record(content: bytes) -> FileRecord:
    """Return the size and hash of a file."""
    return FileRecord(num_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def _problem(content: bytes, expected: FileRecord) -> str:
    if len(content) != expected.num_bytes:
        what = "was cut off" if len(content) < expected.num_bytes else "is from another model"
        return f"{what}: it has {len(content)} bytes, but {MODEL_RECORD} says {expected.num_bytes}"
    if file_record(content) != expected:
        return f"was changed or is from another model: its sha256 is not that in {MODEL_RECORD}"
    return ""


def _refusal(folder: Folder, name: str, problem: str) -> StorageError:
    return StorageError(f"{folder.path}/{name} {problem}; copy the whole model folder again, or export it again")
