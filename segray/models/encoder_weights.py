"""The source of an encoder's weights: a file of the user's own, or ImageNet weights from the Hugging Face hub."""

from __future__ import annotations

import functools
import pickle
import threading
from pathlib import Path

import huggingface_hub
import timm
import torch
from huggingface_hub import constants
from safetensors import SafetensorError
from safetensors.torch import load_file
from segmentation_models_pytorch.encoders import encoders as smp_encoders
from torch import Tensor, nn

from segray.errors import ConfigError
from segray.files import expanded
from segray.models.meta import without_memory
from segray.models.normalisation import TIMM_PREFIX

_ANSWER_SECONDS = 4.0


def encoder_file(encoder: str, choice: str) -> Path | None:
    """Return the weights file of a resolved choice of encoder weights.

    Args:
        encoder: Name of a known encoder.
        choice: none, imagenet, or a path.

    Returns:
        A file on this machine, fetched if necessary; None for none.

    Raises:
        ConfigError: ImageNet weights cannot be fetched, or there is no such file.
    """
    if choice == "none":
        return None
    if choice == "imagenet":
        return imagenet_file(encoder)
    path = expanded(choice)
    if not path.is_file():
        raise ConfigError(
            f"model.encoder_weights must be none, imagenet, auto or a weights file, but there is no file {choice!r}"
        )
    return path


def imagenet_file(encoder: str) -> Path:
    """Return the file of an encoder's ImageNet weights, from the hub's cache on this machine or else fetched.

    A short request tests once per process whether the hub answers, because the hub's client retries for half a minute.

    Raises:
        ConfigError: The encoder has no ImageNet weights, or they are not in the cache and cannot be fetched.
    """
    repository, filename, revision = _hub_location(encoder)
    cached = huggingface_hub.try_to_load_from_cache(repository, filename, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    failure = hub_failure(constants.ENDPOINT)
    if failure is None:
        try:
            return Path(huggingface_hub.hf_hub_download(repository, filename, revision=revision))
        except Exception as error:  # not all errors of the hub's HTTP client are OSErrors
            failure = (str(error).splitlines() or [type(error).__name__])[0]
    raise ConfigError(
        f"ImageNet weights of {encoder!r} ({repository}) cannot be fetched: {failure}; "
        "model.encoder_weights=none and a weights file need no network connection"
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


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a .safetensors file, or from a file that ``torch.load(weights_only=True)`` reads.

    Raises:
        ConfigError: The file cannot be read, or does not hold a state dict.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        weights: object = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ConfigError(
            f"{str(path)!r} must hold a state dict, as written by torch.save(encoder.state_dict(), path), but is "
            "damaged or holds other objects; segray does not load those, because loading them can run code"
        ) from None
    except (OSError, EOFError, RuntimeError, SafetensorError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"cannot read encoder weights {str(path)!r}: {reason}") from None
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ConfigError(f"{str(path)!r} must hold a state dict (names -> tensors), but holds something else")
    return weights


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


def _hub_location(encoder: str) -> tuple[str, str, str | None]:
    """Return repository, file and revision of an encoder's ImageNet weights on the Hugging Face hub."""
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
