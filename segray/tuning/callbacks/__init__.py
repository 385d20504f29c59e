"""Callbacks: trackers that hear of a sweep's events. One file each; ``CALLBACKS`` holds them by name."""

from __future__ import annotations

from collections.abc import Sequence

from segray.errors import ConfigError, unknown_name
from segray.tuning.callbacks.gauges import Gauges
from segray.tuning.callbacks.kind import Callback
from segray.tuning.callbacks.mlflow import MLflow
from segray.tuning.callbacks.tensorboard import TensorBoard
from segray.tuning.callbacks.wandb import WandB

CALLBACKS: dict[str, type[Callback]] = {
    "gauges": Gauges,
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WandB,
}
"""Name for ``--callback`` -> class of the callback."""

DEFAULT_CALLBACKS = ("gauges",)


def make_callbacks(callbacks: Sequence[str | Callback]) -> dict[str, Callback]:
    """Return the callbacks by name; an object goes by the name of its class.

    Args:
        callbacks: Names of ``CALLBACKS`` or objects; a name that is given twice counts once.

    Raises:
        ConfigError: A name does not exist, or an object is no callback.
    """
    made: dict[str, Callback] = {}
    for callback in callbacks:
        if isinstance(callback, str):
            if callback not in CALLBACKS:
                raise ConfigError(unknown_name("--callback", callback, CALLBACKS))
            made.setdefault(callback, CALLBACKS[callback]())
        elif isinstance(callback, Callback):
            made[_free_name(type(callback).__name__, made)] = callback
        else:
            raise ConfigError(
                f"callbacks must be names ({', '.join(CALLBACKS)}) or objects of a subclass of "
                f"segray.tuning.callbacks.Callback, but got {callback!r}"
            )
    return made


def add_callbacks(callbacks: Sequence[str | Callback], names: Sequence[str] | None) -> tuple[str | Callback, ...]:
    """Return a study's callbacks and those that ``--callback`` adds."""
    return (*callbacks, *(names or ()))


def _free_name(name: str, taken: dict[str, Callback]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} {number}"
    return free


__all__ = ["CALLBACKS", "DEFAULT_CALLBACKS", "Callback", "add_callbacks", "make_callbacks"]
