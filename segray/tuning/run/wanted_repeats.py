"""The repeats that a sweep wants: of which trials, in a race of those that are still in it, and what they train.

All of it follows from the sweep's files, so a resume takes the same decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from segray import text
from segray.config import RunConfig, flatten
from segray.config.keys import FREE_ON_RESUME, keys_deciding
from segray.errors import StorageError
from segray.results.significance import clearly_worse
from segray.storage import BASELINE_ID, Repeat, SweepFiles
from segray.trial_files import TrialFiles, undamaged
from segray.tuning.space import EPOCHS_KEY
from segray.tuning.sweep import Sweep

LEVEL: Final = 0.01
"""Largest p-value, over all comparisons of a round, at which a contestant leaves the race.

The first seed decides nothing, so in a race of up to six seeds the best contestant leaves in at most 5 % of cases.
"""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How many trials are repeated, and with which seeds."""

    seed: int
    """Seed of the search's runs; repeats have the seeds after it"""
    num_seeds: int
    """Most further seeds of a trial"""
    top: int = 0
    """Number of the best trials that race, and leave when they are clearly worse; 0 to repeat the best, with all
    seeds. The baseline comes on top"""


def rules_of(sweep: Sweep) -> Rules:
    """Return how many trials a sweep repeats, and with which seeds."""
    return Rules(seed=sweep.base.seed, num_seeds=sweep.num_seeds, top=sweep.confirm)


@dataclass
class Standing:
    """The repeats that are wanted so far, and who is still in the race."""

    epochs: dict[str, int]
    """Trial that goes on -> epochs of its repeats"""
    scores: dict[str, dict[int, float]]
    """Trial that goes on -> seed -> score, where a higher one is better"""
    wanted: list[Repeat] = field(default_factory=list)
    out: dict[str, str] = field(default_factory=dict)
    """Trial that has left the race -> why"""
    num_to_come: int = 0
    """Most repeats that later rounds may add"""

    def of_seed(self, seed: int) -> list[Repeat]:
        """Return a repeat of each trial that goes on."""
        return [Repeat(trial, seed, epochs) for trial, epochs in self.epochs.items()]

    def send_out(self, trial: str, why: str) -> None:
        """Let a trial leave the race."""
        self.out[trial] = why
        del self.epochs[trial], self.scores[trial]


def contestants(files: SweepFiles, top: int) -> dict[str, int]:
    """Return trial -> epochs of its repeats: the best trial, then the best finished ones, and the baseline.

    The baseline trains for as many epochs as the best trial, unless it failed or never began. A trial with a damaged
    config cannot be repeated. Without a model there is no contestant.

    Args:
        files: The sweep's files.
        top: Number of trials beside the baseline; 0 counts as 1.
    """
    try:
        best, *others = [trial for trial, _ in files.ranked()]
    except StorageError:
        return {}
    # A score from the middle of a schedule says less about a config, though the best one stands for the sweep.
    ranked = [best, *(trial for trial in others if has_finished(trial))][: max(top, 1)]
    epochs = {trial.id: num_epochs for trial in ranked if (num_epochs := _num_epochs(trial)) is not None}
    baseline = files.trial(BASELINE_ID)
    if epochs and _num_epochs(baseline) is not None and not baseline.has_failed():
        epochs[BASELINE_ID] = next(iter(epochs.values()))
    return epochs


def has_finished(trial: TrialFiles) -> bool:
    """Return whether a trial trained to its end."""
    outcome = trial.outcome()
    return outcome is not None and outcome.status == "finished"


def _num_epochs(trial: TrialFiles) -> int | None:
    """Return the epochs of a trial's schedule; None if its config is damaged."""
    config = undamaged(trial.config)
    epochs = None if config is None else flatten(config).get(EPOCHS_KEY)
    return epochs if isinstance(epochs, int) else None


def standing(files: SweepFiles, rules: Rules, *, num_at_once: int = 1) -> Standing:
    """Return the repeats that are wanted, seed by seed, as far as the ended ones tell.

    Args:
        files: The sweep's files.
        rules: How many trials are repeated, and with which seeds.
        num_at_once: Seeds that a round of the race may train at once, where there are slots for them.
    """
    epochs = contestants(files, rules.top)
    now = Standing(epochs, {trial: {} for trial in epochs})
    races = rules.top > 0 and len(epochs) > 1
    for number in range(1, rules.num_seeds + 1):
        # Seed by seed: if repeats are cut, all trials have about as many.
        latest = now.of_seed(rules.seed + number)
        now.wanted += latest
        if not races:
            continue
        if not all(files.trial(repeat.id).is_over() for repeat in latest):
            _look_ahead(now, rules, number, num_at_once)
            break
        _judge(now, files, latest, number)
        if number > 1 and len(now.epochs) < 2:
            break
    return now


def _look_ahead(now: Standing, rules: Rules, number: int, num_at_once: int) -> None:
    """Add the seeds that need not wait for the round: one seed alone ranks nobody, so the first two go together."""
    last = min(rules.num_seeds, number - 1 + max(num_at_once, 2 if number == 1 else 1))
    for later in range(number + 1, last + 1):
        now.wanted += now.of_seed(rules.seed + later)
    now.num_to_come = (rules.num_seeds - last) * len(now.epochs)


def _judge(now: Standing, files: SweepFiles, latest: Sequence[Repeat], num_seeds: int) -> None:
    """Send out the trials whose repeat has no score, and those that are clearly worse than the leader."""
    objective = files.info().objective
    for repeat in latest:
        outcome = files.trial(repeat.id).outcome()
        assert outcome is not None, "a round is judged when it is over"
        if outcome.status == "finished" and outcome.best_score is not None:
            now.scores[repeat.trial][repeat.seed] = objective.rank(outcome.best_score)
        else:
            ended = "has no score" if outcome.status == "finished" else f"ended as {text.words(outcome.status)}"
            now.send_out(repeat.trial, f"its repeat with seed {repeat.seed} {ended}")
    worse = clearly_worse(now.scores, LEVEL) if len(now.scores) > 1 else {}
    for trial, p_value in worse.items():
        shown = "p below 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
        now.send_out(trial, f"clearly worse than the best after {num_seeds} seeds ({shown})")


def without_outcome(files: SweepFiles, repeats: Sequence[Repeat], *, retry_failed: bool = False) -> list[Repeat]:
    """Return the repeats that have not ended; with ``retry_failed``, also those that failed."""
    return [repeat for repeat in repeats if not files.trial(repeat.id).is_over(retry_failed=retry_failed)]


def repeat_values(files: SweepFiles, repeat: Repeat, base: RunConfig) -> dict[str, object]:
    """Return the dotted keys in which a repeat's config differs from the base: the trial's, seed and epochs."""
    config = files.trial(repeat.trial).config()
    assert config is not None
    here = base.flat()
    differing = {
        key: value
        for key, value in flatten(config).items()
        # Folder and cache of the data may have moved; the repeat reads them where this start found them.
        if key not in keys_deciding(*FREE_ON_RESUME) and here.get(key) != value
    }
    return differing | {"seed": repeat.seed, EPOCHS_KEY: repeat.epochs}
