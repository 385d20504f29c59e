"""How many trials a search loses to configs that cannot be trained, by what the sampler is told of them.

Command:        python benchmarks/infeasible.py [--seeds 10]
Time:           3 min on two cores

Two fifths of a made space cannot be trained: a product of learning rate and depth diverges, a product of batch size and
crop runs out of memory. Each search has 48 trials in one slot. As failures they are told to Optuna as FAIL, which
samplers do not learn from; as infeasible is how a sweep tells it that a trial diverged or ran out of memory.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
from pathlib import Path
from typing import Final, Literal

import optuna

from segray.goals import DEFAULT_GOALS
from segray.objective import MIOU
from segray.records import EpochRecord
from segray.storage import open_sweep
from segray.tuning.objective import TUNE_METRIC
from segray.tuning.run.exchange import News
from segray.tuning.run.study import StudySearch
from segray.tuning.samplers import samplers_by_trial
from segray.values import Values

NUM_TRIALS: Final = 48
Told = Literal["failed", "diverged"]
WORDS: Final[dict[str, Told]] = {"as failures": "failed", "as infeasible": "diverged"}
SAMPLERS: Final = ("random", "tpe", "freeze_thaw")


def space(trial: optuna.Trial) -> None:
    """Draw the values of a trial."""
    trial.suggest_float("optim.lr", 1e-4, 1.0, log=True)
    trial.suggest_int("model.depth", 3, 8)
    trial.suggest_categorical("train.batch_size", [2, 4, 8, 16, 32])
    trial.suggest_int("data.crop_px", 128, 1024, step=64)
    trial.suggest_categorical("loss.name", ["dice", "focal", "lovasz"])


def is_infeasible(values: Values) -> bool:
    """Return whether a config cannot be trained."""
    lr, depth = float(str(values["optim.lr"])), int(str(values["model.depth"]))
    batch, crop = int(str(values["train.batch_size"])), int(str(values["data.crop_px"]))
    return lr * depth > 0.9 or batch * crop**2 > 6e6


def score(values: Values) -> float:
    """Return the score of a config that can be trained: the best ones lie beside those that cannot."""
    lr, crop = float(str(values["optim.lr"])), int(str(values["data.crop_px"]))
    return 0.6 - 0.06 * (math.log10(lr) + 1.2) ** 2 + 0.1 * crop / 1024 + 0.02 * (values["loss.name"] == "lovasz")


def infeasible_trials(sampler: str, seed: int, told: Told) -> int:
    """Run a search; returns how many of its trials could not be trained.

    Args:
        sampler: Name of the sampler.
        seed: Seed of the search.
        told: How such a trial ends.
    """
    files = open_sweep(Path(tempfile.gettempdir(), "no-such-sweep"))
    sampler_of = samplers_by_trial(sampler, seed)
    search = StudySearch(
        files, space, sampler_of(0), [], None, files, DEFAULT_GOALS, max_epochs=1, sampler_of=sampler_of
    )
    lost = 0
    for number in range(NUM_TRIALS):
        proposal = search.suggest(str(number))
        assert isinstance(proposal, dict)
        lost += is_infeasible(proposal["values"])
        search.on_trial_complete(str(number), _news(proposal["values"], told))
    return lost


def _news(values: Values, told: Told) -> News:
    diverged = is_infeasible(values)
    best = math.nan if diverged else score(values)
    record = EpochRecord(
        epoch=1,
        train_loss=None,
        scores={} if diverged else {MIOU.name: best},
        learning_rate=0.0,
        images_per_second=0.0,
        epoch_seconds=0.0,
        peak_memory_bytes=None,
        best_score=None if diverged else best,
        best_epoch=None,
    )
    return {
        TUNE_METRIC: best,
        "epoch": 0 if diverged else 1,
        "record": None if diverged else record,
        "status": told if diverged else "finished",
        "reason": "",
        "traceback": "",
        "seconds": 0.0,
        "done": True,
    }


def main() -> None:
    """Print the trials that each search lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    share = statistics.mean(_drawn(study) for _ in range(2000))
    print(f"{share:.0%} of the space cannot be trained; trials lost of {NUM_TRIALS}, mean of {seeds} searches")
    found: dict[str, dict[str, float]] = {}
    for sampler in SAMPLERS:
        means = {
            words: statistics.mean(infeasible_trials(sampler, seed, told) for seed in range(seeds))
            for words, told in WORDS.items()
        }
        found[sampler] = means
        print(f"{sampler:12}", "   ".join(f"{words} {mean:5.1f}" for words, mean in means.items()))
    print(json.dumps({"share": share, "trials": NUM_TRIALS, "seeds": seeds, "lost": found}))


def _drawn(study: optuna.Study) -> bool:
    trial = study.ask()
    space(trial)
    return is_infeasible(trial.params)


if __name__ == "__main__":
    main()
