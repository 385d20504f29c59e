"""Checkpoints: a folder with a model that is ready to use, and the state that training resumes from.

    model.safetensors   the weights to use, float32; the moving average if it is on
    config.json         RunConfig
    label_space.json    LabelSpace
    preprocessing.json  Normalisation of the photos; missing in checkpoints of an earlier version, which used ImageNet's
    model.json          ModelRecord: only in folders that segray export wrote; the other files must have its hashes
    training.pt         optimiser, schedule, epoch and best epoch so far; also the trained weights if model.safetensors
                        holds their average. Not written once the run is finished, because it is the largest file

The files are written one after another. A checkpoint counts only when a pointer, which is written last, names it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import safetensors.torch
import torch
from pydantic import ValidationError
from torch import Tensor

from segray.config import RunConfig, run_config
from segray.engine.adversary import StateDict
from segray.engine.model_files import check_model_files, check_no_pickle, check_weights_there
from segray.engine.state import TrainState
from segray.errors import ConfigError, StorageError
from segray.folder import Folder, open_folder
from segray.foreign import in_short
from segray.labels import LabelSpace
from segray.models import SegmentationModel, build_model
from segray.models.encoder_weights import misfits
from segray.models.normalisation import IMAGENET, Normalisation
from segray.trial_files import TRAINING_STATE

PREPROCESSING: Final = "preprocessing.json"


def save(state: TrainState, folder: Folder) -> None:
    """Write a checkpoint; with several ranks, only the first needs to call this.

    Args:
        state: A run between two epochs.
        folder: The checkpoint's folder; created if it does not exist.

    Raises:
        StorageError: The folder cannot be written.
    """
    training = state.state_dict()
    kept = training.pop("kept")
    if not state.is_finished:
        buffer = io.BytesIO()
        torch.save(training, buffer)
        folder.write_bytes(TRAINING_STATE, buffer.getbuffer())
    save_model(folder, kept, state.config, state.label_space, state.network.normalisation)


def save_model(
    folder: Folder,
    weights: Mapping[str, Tensor],
    config: RunConfig,
    label_space: LabelSpace,
    normalisation: Normalisation,
) -> None:
    """Write the files of a checkpoint that using the model needs.

    Args:
        folder: The model's folder; created if it does not exist.
        weights: State dict of the model.
        config: The run that trained it.
        label_space: Its classes.
        normalisation: The normalisation of its photos.

    Raises:
        StorageError: The folder cannot be written.
    """
    # safetensors refuses channels-last tensors, which are not contiguous.
    content = safetensors.torch.save({name: tensor.contiguous() for name, tensor in weights.items()})
    folder.write_bytes("model.safetensors", content)
    folder.write_json("label_space.json", label_space.model_dump(mode="json"))
    folder.write_json("config.json", config.model_dump(mode="json"))
    folder.write_json(PREPROCESSING, normalisation.model_dump(mode="json"))


def restore(state: TrainState, folder: Folder) -> None:
    """Restore a run from a checkpoint of the same config; every rank reads the checkpoint.

    Args:
        state: A state that ``build_state`` made from the checkpoint's config; changed in place.
        folder: A folder that ``save`` wrote.

    Raises:
        DamagedError: A file is missing or damaged; the state may be partly changed.
        StorageError: The checkpoint cannot be read, or belongs to another model.
    """
    training = _unpickle(folder, TRAINING_STATE)
    training["kept"] = read_weights(folder)
    normalisation = read_normalisation(folder)
    try:
        state.load_state_dict(training)
    except torch.OutOfMemoryError:  # also a RuntimeError, but says nothing about the checkpoint
        raise
    except RuntimeError as error:
        raise StorageError(f"cannot resume from the checkpoint at {folder.path!r}: {error}") from None
    except Exception as error:  # damaged content can make torch raise any exception
        raise folder.damaged(TRAINING_STATE, in_short(error)) from None
    state.normalise_by(normalisation)


def load_checkpoint(location: str | Path | Folder) -> tuple[SegmentationModel, RunConfig, LabelSpace]:
    """Load the trained model of a checkpoint, in eval mode, on the CPU; needs only the checkpoint's folder.

    Args:
        location: A checkpoint folder, such as ``runs/NAME/trials/ID/checkpoints/6-1``: a path, URL or Folder.

    Returns:
        The model (uint8 or float RGB photos, BCHW, 0 to 255 -> logits, BCHW), its run's config and its classes.

    Raises:
        StorageError: There is no checkpoint, it is damaged, its weights have another architecture or class count, or a
            file is not the one that was exported.
    """
    folder = location if isinstance(location, Folder) else open_folder(location)
    check_model_files(folder)
    config_json, label_space = folder.read_json("config.json"), read_label_space(folder)
    if config_json is None or label_space is None:
        raise StorageError(
            f"no checkpoint at {folder.path!r}: a checkpoint folder must hold model.safetensors, config.json and "
            "label_space.json; see best.json in the trial's folder for the path of its best checkpoint"
        )
    config = _parse_config(folder, config_json)
    # All weights come from the checkpoint, so none are fetched here.
    untrained = config.model.model_copy(update={"encoder_weights": "none"})
    model = build_model(untrained, label_space.num_classes, palette=label_space.colors)
    weights = read_weights(folder)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise StorageError(
            f"the weights at {folder.path!r} must fit the model of {label_space.num_classes} classes that config.json "
            f"and label_space.json in the same folder describe, but do not: {misfits(error)}; restore all three files "
            "from one checkpoint"
        ) from None
    model.normalise_by(read_normalisation(folder))
    return model.eval(), config, label_space


def read_normalisation(folder: Folder) -> Normalisation:
    """Read the normalisation of a model's photos.

    Raises:
        DamagedError: The file holds something else.
    """
    content = folder.read_json(PREPROCESSING)
    try:
        return IMAGENET if content is None else Normalisation.model_validate(content)
    except ValidationError as error:
        raise folder.damaged(PREPROCESSING, in_short(error)) from None


def _parse_config(folder: Folder, content: object) -> RunConfig:
    try:
        return run_config(content)
    except ConfigError as error:
        raise folder.damaged("config.json", in_short(error)) from None


def read_label_space(folder: Folder) -> LabelSpace | None:
    """Read the classes of a trained model; None if the file is missing.

    Raises:
        DamagedError: The file holds something else.
    """
    content = folder.read_json("label_space.json")
    try:
        return None if content is None else LabelSpace.model_validate(content)
    except ValidationError as error:
        raise folder.damaged("label_space.json", in_short(error)) from None


def read_weights(folder: Folder) -> dict[str, Tensor]:
    """Read the weights of a trained model, on the CPU.

    Raises:
        DamagedError: The file is missing or damaged.
    """
    check_weights_there(folder)
    content = _read_bytes(folder, "model.safetensors")
    check_no_pickle(folder, "model.safetensors", content)
    try:
        return safetensors.torch.load(content)
    except Exception as error:  # a damaged header can make safetensors raise any exception
        raise folder.damaged("model.safetensors", in_short(error)) from None


def _unpickle(folder: Folder, name: str) -> StateDict:
    content = _read_bytes(folder, name)
    try:
        values = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged zip file of pickles can make torch raise any exception
        raise folder.damaged(name, in_short(error)) from None
    if not isinstance(values, dict):
        raise folder.damaged(name, f"the file must hold a mapping, but holds a {type(values).__name__}")
    return values


def _read_bytes(folder: Folder, name: str) -> bytes:
    if not folder.is_file(name):
        raise folder.damaged(name, "there is no such file")
    return folder.read_bytes(name)
