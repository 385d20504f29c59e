"""The start of a race over the best trials of a sweep that has ended, which ``segray confirm`` runs."""

from __future__ import annotations

from collections.abc import Sequence

from segray.cluster.limits import Limits
from segray.cluster.resources import Resources
from segray.config import RunConfig
from segray.errors import ConfigError, StorageError
from segray.folder import split_location
from segray.storage import Repeat, SweepFiles, open_sweep
from segray.tuning.callbacks import DEFAULT_CALLBACKS, Callback
from segray.tuning.run.wanted_repeats import contestants, has_finished, repeat_values
from segray.tuning.sweep import Sweep
from segray.tuning.training_run import nothing
from segray.values import Values


def race_of(
    location: str,
    *,
    top: int,
    seeds: int,
    data: str | None = None,
    resources: Resources,
    limits: Limits,
    callbacks: Sequence[str | Callback] = DEFAULT_CALLBACKS,
) -> Sweep:
    """Return the start that races the best trials of a sweep and its baseline, and searches nothing.

    Args:
        location: The sweep's folder or URL.
        top: Number of trials beside the baseline.
        seeds: Most further seeds of each.
        data: Folder of the data, if it has moved.
        resources: Resources of a trial.
        limits: Limits of a trial.
        callbacks: Who hears of the repeats.

    Raises:
        ConfigError: A number is below 1.
        StorageError: There is no sweep, or none of its trials has finished.
    """
    for option, number in (("--top", top), ("--seeds", seeds)):
        if number < 1:
            raise ConfigError(f"{option} must be at least 1, but got {number}")
    files = open_sweep(location)
    info, state = files.info(), files.state()
    base = RunConfig().with_values(info.base | ({} if data is None else {"data.root": data}))
    storage, name = split_location(location)
    return Sweep(
        name=name,
        base=base,
        space=nothing,
        contestants=_contestants(files, base, top),
        confirm=top,
        repeats=seeds,
        # As many as the search was asked for, since its state says so to every reader.
        trials=max(state.trials if state else 0, len(files.trials())),
        sampler="random",
        scheduler="none",
        objectives=info.objectives,
        constraints=info.constraints,
        seed=info.seed,
        resources=resources,
        limits=limits,
        callbacks=callbacks,
        storage=storage,
        resume=True,
    )


def _contestants(files: SweepFiles, base: RunConfig, top: int) -> list[Values]:
    """Return the values of the trials that race, which differ from the sweep's base."""
    found = contestants(files, top)
    if not any(has_finished(files.trial(trial)) for trial in found):
        raise StorageError(
            f"segray confirm races finished trials, but no trial of {files.folder.path!r} has finished; continue the "
            "sweep with --resume, or look at its trials with segray results"
        )
    return [repeat_values(files, Repeat(trial, base.seed, epochs), base) for trial, epochs in found.items()]
