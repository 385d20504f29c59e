"""The record of a sweep, sweep.json: what it searches, on what, with which versions; written once at its start."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from segray.cluster.resources import Plan
from segray.config import RunConfig
from segray.config.keys import FREE_ON_RESUME, keys_deciding
from segray.data.preparation import PreparedData
from segray.metrics import majority_class_scores, scores_by_name
from segray.recipes import RECIPES
from segray.records import SweepInfo
from segray.shown import redacted
from segray.tuning.preflight import Checked
from segray.tuning.samplers import sampler_name
from segray.tuning.space import describe, plain_point
from segray.tuning.sweep import Sweep

VERSIONED = ("segray", "ray", "torch", "segmentation-models-pytorch", "albumentations", "optuna", "numpy")


def sweep_record(sweep: Sweep, checked: Checked, plan: Plan) -> SweepInfo:
    """Return the record of a sweep that is about to start."""
    data = checked.data
    space = data.scored_space
    majority, majority_scores = majority_class(data)
    return SweepInfo(
        name=sweep.name,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        # An argument may be a storage URL with a key in it.
        command=redacted(shlex.join(sys.argv)),
        objectives=sweep.goals.objectives,
        constraints=tuple(map(str, sweep.goals.constraints)),
        base=checked.base.flat(),
        space=describe_space(checked),
        recipe=sweep.recipe,
        lineage=tuple(sweep.lineage),
        recipe_values=_changed_values(sweep.recipe, checked.base),
        first_trials=tuple(dict(point) for point in checked.first_trials),
        prior=plain_point(sweep.prior),
        warm_start=shown_sources(sweep),
        sampler=sampler_name(sweep.chosen_sampler),
        sampler_options=dict(sweep.sampler_options),
        scheduler=sweep.chosen_scheduler,
        scheduler_settings=scheduler_settings(sweep),
        seed=sweep.seed,
        max_epochs=checked.max_epochs,
        classes=space.names,
        colors=space.colors,
        majority_class=majority,
        majority_scores=majority_scores,
        val_classes=data.val_classes,
        encoder_weights=checked.weights_line,
        versions={"python": platform.python_version(), **{name: version(name) for name in VERSIONED}},
        git_revision=git_revision(),
        hardware={
            "machine": f"{platform.system()} {platform.machine()}",
            "nodes": plan.num_nodes,
            "cpus": plan.total_cpus,
            "gpus": plan.total_gpus,
            "plan": plan.describe(),
        },
    )


def describe_space(checked: Checked) -> dict[str, str]:
    """Return each searched key's distribution in words."""
    return {key: describe(distribution) for key, distribution in checked.distributions.items()}


def majority_class(data: PreparedData) -> tuple[str, dict[str, float | None]]:
    """Return the most frequent class of the training labels, and the scores of predicting it everywhere."""
    majority, found = majority_class_scores(data.train.judged_pixels, data.val.judged_pixels)
    names = data.scored_space.names
    return names[majority], scores_by_name(found, names)


def shown_sources(sweep: Sweep) -> tuple[str, ...]:
    """Return the sources of a warm start without the keys that a URL may have."""
    return tuple(map(redacted, sweep.warm_start))


def scheduler_settings(sweep: Sweep) -> dict[str, float | None]:
    """Return the numbers that decide when a scheduler stops a trial."""
    return {"grace_epochs": sweep.grace_epochs, "reduction_factor": sweep.chosen_reduction_factor}


def git_revision() -> str:
    """Return the revision of the study's checkout, with a plus if it has changes; empty outside a checkout."""
    folder = Path(sys.argv[0]).resolve().parent
    if not folder.is_dir():
        return ""
    command = ["git", "-C", os.fspath(folder), "describe", "--always", "--dirty=+", "--abbrev=12"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()


def _changed_values(recipe: str, base: RunConfig) -> dict[str, object]:
    """Return the values of a published recipe at the keys where the base has others.

    A recipe of one's own is not published, so there is nothing to compare with.
    """
    if recipe not in RECIPES:
        return {}
    here, published = base.flat(), RECIPES[recipe].config.flat()
    left_out = set(keys_deciding(*FREE_ON_RESUME))
    if "model.encoder_weights" in RECIPES[recipe].settings:
        # The recipe says "auto" for those who cannot fetch the weights that were published.
        published["model.encoder_weights"] = "imagenet"
    else:
        # A network without an encoder resolves auto to none.
        left_out.add("model.encoder_weights")
    return {key: published[key] for key in here if here[key] != published[key] and key not in left_out}
