"""Repeats: the best trials and the baseline, trained again with further seeds after the search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from ray.tune.search import Searcher

from segray import text
from segray.cluster.resources import make_plan
from segray.goals import Goals
from segray.storage import BASELINE_ID, SweepFiles
from segray.tuning.run.early_stopping import Fifo
from segray.tuning.run.exchange import Proposal
from segray.tuning.run.progress import Progress
from segray.tuning.run.retries import Retries
from segray.tuning.run.tune_run import Shared, run_tune
from segray.tuning.run.wanted_repeats import Rules, Standing, repeat_values, rules_of, standing, without_outcome

Run: TypeAlias = tuple[str, dict[str, object]]
"""Id of a repeat, and the dotted keys in which its config differs from the base"""


def describe_repeats(files: SweepFiles, now: Standing, rules: Rules, num_missing: int) -> str:
    """Return a line such as ``repeats: trial 0007 and the first trial, 3 seeds each, 6 epochs``."""
    trials, baseline = list(dict.fromkeys(repeat.trial for repeat in now.wanted)), files.info().baseline_name
    who = text.joined([baseline if trial == BASELINE_ID else f"trial {trial}" for trial in trials])
    if BASELINE_ID not in trials:
        who += f" ({baseline} failed, and is not repeated)"
    elif len(trials) == 1:
        who += ", which is the best"
    elif len(trials) < rules.top:
        who += " (no other has finished)"
    is_race, is_one = rules.top > 0 and len(trials) > 1, len(trials) == 1
    seeds = f"{'up to ' if is_race else ''}{text.counted(rules.num_seeds, 'seed')}{'' if is_one else ' each'}"
    fewest, most = (of(repeat.epochs for repeat in now.wanted) for of in (min, max))
    epochs = text.counted(most, "epoch") if fewest == most else f"{fewest} to {most} epochs"
    num_done = len(now.wanted) - num_missing
    done = f"; {num_done} of {len(now.wanted)} have ended already" if num_done else ""
    return f"{'race' if is_race else 'repeats'}: {who}, {seeds}, {epochs}{done}"


class ListSearch(Searcher):
    """A searcher that hands out given runs, one after another.

    Args:
        more: Called when all runs so far have ended; returns the next ones, or none at the end.
    """

    def __init__(self, more: Callable[[], Sequence[Run]]) -> None:
        super().__init__()
        self._more = more
        self._left: list[Run] = []
        self._running: set[str] = set()

    def suggest(self, trial_id: str) -> Proposal | str | None:
        """Return the next run, in the form of a trial of StudySearch; None while the next ones are not known."""
        if not self._left and not self._running:
            self._left = list(self._more())
        if not self._left:
            return None if self._running else str(Searcher.FINISHED)
        self._running.add(trial_id)
        run_id, values = self._left.pop(0)
        return {"trial": run_id, "values": values}

    def on_trial_complete(self, trial_id: str, *_: object, **__: object) -> None:
        """Note that a run has ended; no sampler learns from repeats."""
        self._running.discard(trial_id)


def run_repeats(shared: Shared, nodes: Sequence[Mapping[str, float]]) -> None:
    """Train the repeats that are missing.

    Args:
        shared: The objects that both phases use.
        nodes: Ray resources of every living node.
    """
    files, rules = shared.files, rules_of(shared.sweep)
    # Asked again after the search, which may have found another best trial.
    now = standing(files, rules)
    missing = without_outcome(files, now.wanted)
    if not missing:
        return
    # A race that `segray confirm` began says nothing of the search, which may have trials left.
    shared.state.repeating = not shared.sweep.contestants
    shared.view.say(describe_repeats(files, now, rules, len(missing)))
    # A plan of its own: fewer runs than the search had at once get more CPUs each. Later rounds may have more runs.
    plan = make_plan(shared.sweep.resources, nodes, max(len(missing), min(now.num_to_come, len(now.epochs))))
    progress = Progress(
        total=len(now.wanted) + now.num_to_come,
        slots=plan.slots,
        deadline=None,
        objective=files.info().objective,
        done=len(now.wanted) - len(missing),
        what="repeat",
    )
    rounds = Rounds(shared, rules, progress)
    # A repeat is compared by the main objective alone, and its trial has met the constraints.
    goals = Goals((progress.objective,))
    run_tune(shared, plan, progress, Retries(ListSearch(rounds.next_runs), files), Fifo(), goals)


class Rounds:
    """The rounds of a race, which repeats without a race do in one.

    Args:
        shared: The objects that both phases use.
        rules: How many trials are repeated, and with which seeds.
        progress: The numbers of the phase; the total falls when a trial leaves the race.
    """

    def __init__(self, shared: Shared, rules: Rules, progress: Progress) -> None:
        self._shared, self._rules, self._progress = shared, rules, progress
        self._told: set[str] = set()

    def next_runs(self) -> list[Run]:
        """Return the runs of the next round, and say who has left the race."""
        files, base = self._shared.files, self._shared.checked.base
        now = standing(files, self._rules)
        if now.epochs and self._progress.slots > len(now.epochs):
            # Slots must not idle: seeds of later rounds may turn out to be needless, but cost no time.
            now = standing(files, self._rules, num_at_once=self._progress.slots // len(now.epochs))
        for trial, why in now.out.items():
            if trial not in self._told:
                self._told.add(trial)
                self._shared.view.say(f"trial {trial} leaves the race: {why}")
        missing = without_outcome(files, now.wanted)
        self._progress.total = self._progress.done + len(missing) + now.num_to_come
        return [(repeat.id, repeat_values(files, repeat, base)) for repeat in missing]
