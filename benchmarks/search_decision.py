"""How long freeze-thaw search takes to decide which trial trains on, with many trials and reports.

Command:        python benchmarks/search_decision.py
Time:           1 min on two cores

Two made studies: 64 trials of 46 epochs, and 1,000 trials of 9, all but one of them paused, in memory, as in a sweep,
and in a SQLite file. Two decisions are timed, the median of five: whether a trial keeps its slot after an epoch, and
which paused trial goes on in a free slot. Each fits the model anew.

The last line is one JSON object.
"""

from __future__ import annotations

import json
import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np
import optuna
from optuna.trial import TrialState, create_trial

from segray.tuning.attributes import EPOCHS, PAUSED
from segray.tuning.freeze_thaw.search import FreezeThaw
from segray.tuning.points import Point, draw_point, sample_from

SIZES: Final = ((64, 46), (1000, 9))
REPEATS: Final = 5


def space(trial: optuna.Trial) -> None:
    """Draw the values of a trial."""
    trial.suggest_float("optim.lr", 1e-4, 1e-1, log=True)
    trial.suggest_float("optim.weight_decay", 1e-6, 1e-2, log=True)
    trial.suggest_categorical("train.batch_size", [2, 4, 8, 16])
    if trial.suggest_categorical("loss.name", ["dice", "focal", "lovasz"]) == "focal":
        trial.suggest_float("loss.focal_gamma", 1.0, 5.0)


def made_study(num_trials: int, num_epochs: int, storage: str | None) -> optuna.Study:
    """Return a study of trials that lack their last epoch; all but the first are paused."""
    random = np.random.default_rng(0)
    study = optuna.create_study(direction="maximize", storage=storage)
    trials = []
    for number in range(num_trials):
        draw = draw_point(space, Point({}, lambda _point, _name, distribution: sample_from(distribution, random)))
        end = 0.6 - 0.1 * abs(math.log10(float(str(draw.values["optim.lr"]))) + 2) + 0.01 * random.normal()
        scores = {epoch: end * (1 - math.exp(-4 * epoch / (num_epochs + 1))) for epoch in range(1, num_epochs + 1)}
        trials.append(
            create_trial(
                state=TrialState.RUNNING,
                params=dict(draw.drawn),
                distributions=dict(draw.distributions),
                intermediate_values=scores,
                user_attrs={EPOCHS: num_epochs + 1, PAUSED: number > 0},
            )
        )
    study.add_trials(trials)
    return study


def decision_seconds(study: optuna.Study) -> dict[str, float]:
    """Return the median seconds of each kind of decision."""
    paused = [trial.number for trial in study.trials if trial.user_attrs[PAUSED]]
    epoch, keeps, free = max(study.trials[0].intermediate_values), [], []
    for _ in range(REPEATS + 1):
        # A search without a model of earlier decisions.
        search = FreezeThaw(space, seed=0)
        start = time.perf_counter()
        search.keeps_slot(study, 0, epoch + 1, 0.5, can_begin=True)
        middle = time.perf_counter()
        search.next_paused(study, paused, can_begin=True)
        keeps.append(middle - start)
        free.append(time.perf_counter() - middle)
    # The first one imports torch.
    return {"keeps its slot": statistics.median(keeps[1:]), "free slot": statistics.median(free[1:])}


def main() -> None:
    """Print the seconds of the decisions."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for num_trials, num_epochs in SIZES:
            for kind, storage in (("memory", None), ("SQLite", f"sqlite:///{Path(scratch, f'{num_trials}.db')}")):
                name = f"{num_trials} trials of {num_epochs} epochs, {kind}"
                found[name] = decision_seconds(made_study(num_trials, num_epochs, storage))
                print(f"{name:36}", "   ".join(f"{what} {value:.3f} s" for what, value in found[name].items()))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
