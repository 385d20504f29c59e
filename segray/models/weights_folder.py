"""A folder of encoder weights: one file per encoder, named after the encoder."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save
from segmentation_models_pytorch.encoders import encoders as smp_encoders
from torch import Tensor

from segray.errors import ConfigError, StorageError
from segray.files import check_new_folder, expanded, make_folder, output_path, write_whole
from segray.models.normalisation import TIMM_PREFIX
from segray.models.weights_file import read_weights

SUFFIXES: Final = (".safetensors", ".pth", ".pt")


def weights_files(folder: Path, encoders: Iterable[str]) -> dict[str, Path]:
    """Return the weights file of each encoder in a folder.

    A file is named after its encoder. The prefix ``tu-`` may be left out, unless SMP has an encoder of that name, whose
    weights may be others.

    Raises:
        ConfigError: The folder cannot be read, or does not hold exactly one file for each encoder; the message names
            every encoder without a file.
    """
    names = _file_names(folder)
    found = {encoder: _find(folder, encoder, names) for encoder in encoders}
    missing = [encoder for encoder, path in found.items() if path is None]
    if missing:
        raise ConfigError(
            f"the folder of model.encoder_weights, {str(folder)!r}, must hold a file named after each encoder "
            f"({', '.join(SUFFIXES)}), but has none for {', '.join(missing)}; it holds {_in_words(names)}; add the "
            f"missing ones with: segray weights fetch {' '.join(missing)} -o {shlex.quote(str(folder))}"
        )
    return {encoder: path for encoder, path in found.items() if path is not None}


def output_folder(folder: str) -> Path:
    """Return the folder into which weights shall be written; called before they are fetched.

    Raises:
        ConfigError: The folder is a URL.
        StorageError: The folder lies among the files of a sweep.
    """
    if "://" in folder:
        raise ConfigError(f"-o must be a folder on this machine, but is {folder!r}; write there, then copy the files")
    path = expanded(folder)
    # A file in the folder: a sweep's own folder is refused, too.
    check_new_folder(path / "weights")
    return path


def write_weights(
    folder: Path,
    encoder: str,
    weights: Mapping[str, Tensor],
    *,
    inputs: Iterable[Path] = (),
    overwrite: bool = False,
) -> tuple[Path, bool]:
    """Write an encoder's weights into a folder, unless they are there already.

    Args:
        folder: A folder from ``output_folder``; it is made if it is missing.
        encoder: Name of the encoder.
        weights: State dict.
        inputs: Files that the command reads, which are never replaced.
        overwrite: Whether to replace other weights of this encoder.

    Returns:
        The file with the weights, and whether this call wrote it.

    Raises:
        ConfigError: The folder cannot be read, or holds several files for the encoder.
        StorageError: The folder holds other weights for the encoder, or cannot be made or written to.
    """
    try:
        make_folder(folder)
    except OSError as error:
        raise StorageError(f"cannot make the folder {str(folder)!r}: {error.strerror}; name another with -o") from None
    path = folder / f"{encoder}.safetensors"
    output_path(path, inputs=inputs)
    existing = _find(folder, encoder, _file_names(folder))
    if existing is not None and _holds(existing, weights):
        return existing, False
    if existing is not None and (existing.name != path.name or not overwrite):
        fix = "--overwrite replaces it" if existing.name == path.name else "remove it"
        raise StorageError(
            f"{str(existing)!r} holds other weights for encoder {encoder!r}; {fix}, or name another folder with -o"
        )
    # safetensors takes no tensors that share memory.
    separate = {key: value.clone(memory_format=torch.contiguous_format) for key, value in weights.items()}
    content = save(separate, metadata={"format": "pt"})
    try:
        write_whole(path, content)
    except OSError as error:
        raise StorageError(f"cannot write {str(path)!r}: {error.strerror or error}") from None
    return path, True


def _file_names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.suffix in SUFFIXES)
    except OSError as error:
        raise ConfigError(f"cannot read the folder of encoder weights {str(folder)!r}: {error.strerror}") from None


def _find(folder: Path, encoder: str, names: Iterable[str]) -> Path | None:
    short = encoder.removeprefix(TIMM_PREFIX)
    stems = (encoder,) if short in smp_encoders else (encoder, short)
    found = [name for name in names if name in {stem + suffix for stem in stems for suffix in SUFFIXES}]
    if len(found) > 1:
        raise ConfigError(
            f"{str(folder)!r} must hold one file for encoder {encoder!r}, but holds {', '.join(found)}; keep one"
        )
    return folder / found[0] if found else None


def _in_words(names: list[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more if names else "no weights"


def _holds(path: Path, weights: Mapping[str, Tensor]) -> bool:
    """Return whether a file holds these weights; a damaged file does not."""
    with suppress(ConfigError):
        there = read_weights(path)
        return there.keys() == weights.keys() and all(torch.equal(there[key], weights[key]) for key in there)
    return False
