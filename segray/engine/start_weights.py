"""The start of a run from a whole trained model (``model.weights``): its layers that fit are loaded.

A layer is a module with its own tensors, such as a convolution with its bias or a BatchNorm with its statistics. It is
loaded whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from torch import Tensor

from segray.engine.checkpoint import read_label_space, read_normalisation, read_weights
from segray.engine.distributed import rank
from segray.engine.model_files import check_model_files
from segray.engine.state import TrainState
from segray.errors import ConfigError
from segray.folder import open_folder
from segray.labels import LabelSpace
from segray.shown import redacted
from segray.trial_log import TrialLog

NUM_NAMED: Final = 6
"""Layers that a line names; the others are counted."""


@dataclass(frozen=True)
class FittingWeights:
    """The weights of a trained model that fit another model."""

    tensors: Mapping[str, Tensor]
    """The tensors of the layers that fit"""
    num_layers: int
    """Number of layers that fit"""
    as_initialised: tuple[str, ...]
    """Each layer of the new model that does not fit, with the reason"""

    @property
    def line(self) -> str:
        """The layers that are loaded and those that are not, in one line."""
        total = self.num_layers + len(self.as_initialised)
        if not self.as_initialised:
            return f"all {total} layers"
        named = ", ".join(self.as_initialised[:NUM_NAMED])
        rest = len(self.as_initialised) - NUM_NAMED
        more = f" and {rest} more" if rest > 0 else ""
        return f"{self.num_layers} of {total} layers; these stay as initialised: {named}{more}"


def fitting_weights(location: str, model: Mapping[str, Tensor]) -> FittingWeights:
    """Read a trained model's weights, and choose the layers that fit another model.

    Args:
        location: Path or URL of a checkpoint or model folder.
        model: State dict of the other model; only names and shapes are used.

    Raises:
        StorageError: There is no model, or it is damaged.
        ConfigError: No layer fits.
    """
    folder = open_folder(location)
    check_model_files(folder)
    weights = read_weights(folder)
    found: dict[str, Tensor] = {}
    num_layers, misfits = 0, []
    for layer, group in groupby(model, key=lambda name: name.rpartition(".")[0]):
        names = list(group)
        reasons = [reason for name in names if (reason := _misfit(name, weights, model))]
        if reasons:
            misfits.append(f"{layer} ({reasons[0]})")
        else:
            num_layers += 1
            found |= {name: weights[name] for name in names}
    if not found:
        raise ConfigError(
            f"model.weights must be a model with at least one layer of this network, but none of the {len(misfits)} "
            f"layers fits {redacted(location)!r}: {', '.join(misfits[:2])}; choose a model of the same family"
        )
    return FittingWeights(found, num_layers, tuple(misfits))


def other_classes(location: str, label_space: LabelSpace) -> str:
    """Return a note if a trained model tells other classes apart than a run will; an empty string if not.

    Raises:
        StorageError: There is no model, or it is damaged.
    """
    trained = read_label_space(open_folder(location))
    if trained is None or trained.names == label_space.names:
        return ""
    return f"the model that gives the weights was trained on other classes: {', '.join(trained.names)}"


def start_from_weights(state: TrainState, log: TrialLog) -> None:
    """Load the model that ``model.weights`` names, if it names one, into a run before its first epoch.

    Every rank calls this. The photos are normalised as the trained model normalised them.

    Args:
        state: The run; changed in place.
        log: Gets a line on the layers that were loaded, and on those that were not.

    Raises:
        StorageError: There is no model, or it is damaged.
        ConfigError: No layer fits.
    """
    location = state.config.model.weights
    if not location:
        return
    fitting = fitting_weights(location, state.network.state_dict())
    for model in (state.network, state.kept_model):
        model.load_state_dict(dict(fitting.tensors), strict=False)
    state.normalise_by(read_normalisation(open_folder(location)))
    if rank() == 0:
        log.write(f"weights from {redacted(location)}: {fitting.line}")


def _misfit(name: str, weights: Mapping[str, Tensor], model: Mapping[str, Tensor]) -> str:
    if name not in weights:
        return "the trained model has no such layer"
    here, there = list(model[name].shape), list(weights[name].shape)
    return "" if here == there else f"shape {here}, trained: {there}"
