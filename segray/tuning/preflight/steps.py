"""Everything that can be wrong with a sweep, found before a trial starts."""

from __future__ import annotations

from collections.abc import Callable

from segray.data.cache.fingerprint import listing
from segray.tuning.preflight.checked import Checked
from segray.tuning.preflight.constraints import check_constraints
from segray.tuning.preflight.drawn import draw_trials
from segray.tuning.preflight.first_trial import with_planned
from segray.tuning.preflight.memory import check_memory
from segray.tuning.preflight.objective import check_comparable_scores, check_has_score
from segray.tuning.preflight.parts import check_comparable, check_parts, distinct, resolve_weights
from segray.tuning.preflight.training import check_start_weights, check_training, prepare_data
from segray.tuning.recipe import naming_recipe
from segray.tuning.samplers import check_sampler
from segray.tuning.sweep import Sweep


def check(
    sweep: Sweep,
    *,
    num_workers: int,
    cpu_threads: int | None = None,
    announce: Callable[[str], None],
    gpu_bytes: int | None = None,
    worker_bytes: int | None = None,
) -> Checked:
    """Check a sweep's keys, values, models, losses, data and sizes, and decide what a trial must not decide.

    The checks run on the first trials, and on samples that hold every choice and every pair of model choices.

    Args:
        sweep: What to run.
        num_workers: Workers a trial, among which its batch is divided.
        cpu_threads: CPU threads of a worker, with which this process measures latencies; None if trials train on GPUs.
        announce: Told what the encoders start from, what is decoded, which trial is planned, which trials must split
            their batches, and which layers of trained models fit.
        gpu_bytes: Memory of the largest GPU; None if trials run without GPUs, or if it is not known.
        worker_bytes: Memory that a worker has for its training; None if it is not known.

    Raises:
        ConfigError: A key, value or combination cannot work, the sampler cannot search the space, or the space does
            not hold the recipe.
        DataError: The data set cannot be read.
        ResourceError: The cache cannot be read or written.
    """
    # The cheapest checks come first; decoding the images, which may take minutes, comes last but one.
    drawn, goals = draw_trials(sweep), sweep.goals
    check_sampler(sweep.chosen_sampler, sweep.sampler_options, drawn.searched, sweep.chosen_scheduler, goals)
    check_comparable(drawn.base, drawn.configs)
    for objective in goals.objectives:
        check_comparable_scores(objective, drawn.configs)
    # Before the encoders' weights are fetched, which takes longer.
    with naming_recipe(sweep.recipe, drawn.base.data):
        for note in listing(drawn.base.data).dataset.notes_in_short():
            announce(f"note: {note}")
    check_parts(drawn.configs, drawn.searched.distributions)
    weights, weights_line = resolve_weights(distinct(config.model for config in drawn.configs))
    announce(weights_line)
    data = prepare_data(drawn.configs, announce)
    if sweep.first_trial == "plan":
        on_gpu = gpu_bytes is not None
        drawn = with_planned(drawn, data, num_workers, worker_bytes, announce, on_gpu=on_gpu)
        data = prepare_data(drawn.configs, announce)
    for prepared in data.values():
        for objective in goals.objectives:
            check_has_score(objective, prepared)
    check_training(drawn.configs, data, num_workers)
    if gpu_bytes is not None:
        check_memory(drawn.configs, data, num_workers, gpu_bytes, announce)
    if not sweep.resume:
        check_constraints(goals, drawn, data, cpu_threads)
        # A resumed run goes on from its own checkpoint, and needs the model that it started from no more.
        check_start_weights(drawn.configs, data, announce)
    # The first start has decided for trials that have ended, of which only some race.
    base = drawn.base if sweep.contestants else drawn.base.with_values({"model.encoder_weights": weights})
    return Checked(
        base,
        drawn.space,
        drawn.searched.distributions,
        drawn.first_trials,
        drawn.belief,
        drawn.max_epochs,
        data[drawn.configs[0].data],
        data,
        weights_line,
    )
