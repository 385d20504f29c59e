"""The source of an encoder's weights: a file or folder of the user's, or ImageNet weights from the Hugging Face hub."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import huggingface_hub
import timm
from huggingface_hub import constants
from segmentation_models_pytorch.encoders import encoders as smp_encoders
from torch import Tensor, nn

from segray.errors import ConfigError
from segray.files import expanded
from segray.models.meta import without_memory
from segray.models.normalisation import TIMM_PREFIX
from segray.models.weights_file import read_weights
from segray.models.weights_folder import weights_files

CHOICES: Final = ("none", "imagenet", "auto")
"""Choices of encoder weights that are no paths."""

_WITHOUT_HUB: Final = (
    "model.encoder_weights=none, a weights file, and a folder that segray weights fetch has filled on another machine "
    "need no network connection"
)

_ANSWER_SECONDS = 4.0


def encoder_file(encoder: str, choice: str) -> Path | None:
    """Return the weights file of a resolved choice of encoder weights.

    Args:
        encoder: Name of a known encoder.
        choice: none, imagenet, or the path of a file or of a folder with a file for each encoder.

    Returns:
        A file on this machine, fetched if necessary; None for none.

    Raises:
        ConfigError: ImageNet weights cannot be fetched, there is no such file or folder, or the folder does not hold
            exactly one file for the encoder.
    """
    if choice == "none":
        return None
    if choice == "imagenet":
        return imagenet_file(encoder)
    path = expanded(choice)
    if path.is_dir():
        return weights_files(path, [encoder])[encoder]
    if not path.is_file():
        raise ConfigError(
            f"model.encoder_weights must be {', '.join(CHOICES)}, a weights file or a folder of them, but there is no "
            f"file or folder {choice!r}"
        )
    return path


def check_encoder_files(encoders: Iterable[str], choice: str) -> None:
    """Check that a folder of encoder weights has a file for each encoder; other choices pass.

    Raises:
        ConfigError: Encoders have no file, or more than one; the message names all without a file.
    """
    if choice not in CHOICES and expanded(choice).is_dir():
        weights_files(expanded(choice), encoders)


def imagenet_file(encoder: str, fix: str = _WITHOUT_HUB) -> Path:
    """Return the file of an encoder's ImageNet weights, from the hub's cache on this machine or else fetched.

    A short request tests once per process whether the hub answers, because the hub's client retries for half a minute.

    Args:
        encoder: Name of a known encoder.
        fix: Advice for a person without the hub, for the message.

    Raises:
        ConfigError: The encoder has no ImageNet weights, or they are not in the cache and cannot be fetched.
    """
    repository, filename, revision = hub_location(encoder)
    cached = huggingface_hub.try_to_load_from_cache(repository, filename, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    failure = hub_failure(constants.ENDPOINT)
    if failure is None:
        try:
            return Path(huggingface_hub.hf_hub_download(repository, filename, revision=revision))
        except Exception as error:  # not all errors of the hub's HTTP client are OSErrors
            failure = (str(error).splitlines() or [type(error).__name__])[0]
    raise ConfigError(f"ImageNet weights of {encoder!r} ({repository}) cannot be fetched: {failure}; {fix}")


def hub_location(encoder: str) -> tuple[str, str, str | None]:
    """Return repository, file and revision of an encoder's ImageNet weights on the Hugging Face hub.

    Raises:
        ConfigError: The encoder has no ImageNet weights.
    """
    if encoder.startswith(TIMM_PREFIX):
        source = timm.get_pretrained_cfg(encoder.removeprefix(TIMM_PREFIX))
        if source is not None and source.hf_hub_id:
            repository, _, revision = source.hf_hub_id.partition("@")
            return repository, source.hf_hub_filename or "model.safetensors", revision or None
    else:
        settings = smp_encoders[encoder]["pretrained_settings"]
        # Three DPN encoders list their ImageNet weights, pretrained on 5,000 more classes, under another name.
        chosen = settings.get("imagenet") or settings.get("imagenet+5k")
        if chosen:
            return chosen["repo_id"], "model.safetensors", chosen["revision"]
    raise ConfigError(
        f"encoder {encoder!r} has no ImageNet weights; set model.encoder_weights to none or to a weights file"
    )


@functools.cache
def hub_failure(endpoint: str) -> str | None:
    """Return the reason why the hub does not answer within a few seconds, or None if it answers."""
    answers: list[str | None] = []

    def knock() -> None:
        try:
            huggingface_hub.get_session().head(endpoint, timeout=_ANSWER_SECONDS)
        except Exception as error:  # the type depends on the HTTP client that the hub's library uses
            answers.append(f"{endpoint} does not answer ({error})")
        else:
            answers.append(None)

    # A DNS lookup without a network route can hang longer than the HTTP client's timeout, so a thread waits for it.
    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    thread.join(_ANSWER_SECONDS)
    return answers[0] if answers else f"{endpoint} does not answer in {_ANSWER_SECONDS:g} s"


def load_encoder(encoder: nn.Module, name: str, path: Path) -> None:
    """Load a weights file into an SMP encoder.

    The file holds the encoder's own state dict or, for a ``tu-`` encoder, that of the whole timm model.

    Raises:
        ConfigError: The file cannot be read, or its keys or shapes do not fit the encoder.
    """
    weights = read_weights(path)
    try:
        encoder.load_state_dict(_from_timm(encoder, name, weights) if name.startswith(TIMM_PREFIX) else weights)
    except RuntimeError as error:
        raise ConfigError(unfitting(name, path, error)) from None


def unfitting(name: str, path: Path, error: Exception) -> str:
    """Return the message for weights that torch refuses to load into an encoder."""
    return f"{str(path)!r} does not fit encoder {name!r}: {misfits(error)}"


def misfits(error: Exception) -> str:
    """Return the first few keys of each kind that torch names when it refuses to load weights."""
    lines = [line.strip() for line in str(error).splitlines()[1:4]]
    return " ".join(line if len(line) < 160 else line[:160].rpartition(",")[0] + ", ..." for line in lines)


def _from_timm(encoder: nn.Module, name: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename a timm model's weights to the encoder's keys, and leave out the classifier's weights.

    timm's feature extractors flatten some keys: ``stages.0.blocks`` of the model is ``stages_0.blocks`` of the encoder.
    """
    with without_memory():
        model = timm.create_model(name.removeprefix(TIMM_PREFIX))
    beyond = {_flat(key) for key in model.state_dict()} - {_flat(key) for key in encoder.state_dict()}
    names = {_flat(key): key for key in encoder.state_dict()}
    return {names.get(_flat(key), key): value for key, value in weights.items() if _flat(key) not in beyond}


def _flat(key: str) -> str:
    return key.removeprefix("model.").replace(".", "_")
