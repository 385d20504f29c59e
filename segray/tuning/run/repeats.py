"""Repeats: the best trial and the baseline, trained again with further seeds after the search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ray.tune.search import Searcher

from segray import text
from segray.cluster.resources import make_plan
from segray.config import RunConfig, flatten
from segray.config.keys import FREE_ON_RESUME, keys_deciding
from segray.errors import DamagedError, StorageError
from segray.goals import Goals
from segray.storage import BASELINE_ID, Repeat, SweepFiles
from segray.trial_files import TrialFiles
from segray.tuning.run.early_stopping import Fifo
from segray.tuning.run.exchange import News, Proposal
from segray.tuning.run.progress import Progress
from segray.tuning.run.retries import Retries
from segray.tuning.run.tune_run import Shared, run_tune
from segray.tuning.space import EPOCHS_KEY
from segray.values import Json


def wanted_repeats(files: SweepFiles, seed: int, num_seeds: int) -> list[Repeat]:
    """Return the repeats of the best trial, and of the baseline with as many epochs, seed by seed.

    A baseline that failed or never began is not repeated, nor is a trial with a damaged config. Without a model there
    are no repeats.

    Args:
        files: The sweep's files.
        seed: Seed of the search's runs; repeats have the seeds after it.
        num_seeds: Number of seeds.
    """
    try:
        best, _ = files.best()
    except StorageError:
        return []
    config = _config(best)
    if config is None:
        return []
    baseline = files.trial(BASELINE_ID)
    trials = [best.id] if _config(baseline) is None or baseline.has_failed() else [best.id, baseline.id]
    return [
        Repeat(trial, seed + number, config["train"]["epochs"])
        # Seed by seed: if repeats are cut, both trials have about as many.
        for number in range(1, num_seeds + 1)
        for trial in dict.fromkeys(trials)
    ]


def _config(trial: TrialFiles) -> Json | None:
    try:
        return trial.config()
    except DamagedError:
        return None


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


def describe_repeats(files: SweepFiles, wanted: Sequence[Repeat], num_missing: int) -> str:
    """Return a line such as ``repeats: trial 0007 and the first trial, 3 seeds each, 6 epochs``."""
    best, *others = dict.fromkeys(repeat.trial for repeat in wanted)
    baseline = files.info().baseline_name
    if others:
        who, each = f"trial {best} and {baseline}", " each"
    elif best == BASELINE_ID:
        who, each = f"{baseline}, which is the best", ""
    else:
        who, each = f"trial {best} ({baseline} failed, and is not repeated)", ""
    seeds = text.counted(len({repeat.seed for repeat in wanted}), "seed")
    num_done = len(wanted) - num_missing
    done = f"; {num_done} of {len(wanted)} have ended already" if num_done else ""
    return f"repeats: {who}, {seeds}{each}, {text.counted(wanted[0].epochs, 'epoch')}{done}"


class ListSearch(Searcher):
    """A searcher that hands out given runs, one after another."""

    def __init__(self, runs: Sequence[tuple[str, dict[str, object]]]) -> None:
        super().__init__()
        self._left = list(runs)

    def suggest(self, trial_id: str) -> Proposal | str:  # noqa: ARG002 - Tune's signature
        """Return the next run, in the form of a trial of StudySearch."""
        if not self._left:
            return str(Searcher.FINISHED)
        run_id, values = self._left.pop(0)
        return {"trial": run_id, "values": values}

    def on_trial_complete(self, trial_id: str, result: News | None = None, error: bool = False) -> None:
        """Do nothing: no sampler learns from repeats."""


def run_repeats(shared: Shared, nodes: Sequence[Mapping[str, float]]) -> None:
    """Train the repeats that are missing.

    Args:
        shared: The objects that both phases use.
        nodes: Ray resources of every living node.
    """
    files, base = shared.files, shared.checked.base
    # Asked again after the search, which may have found another best trial.
    wanted = wanted_repeats(files, base.seed, shared.sweep.repeats)
    missing = without_outcome(files, wanted)
    if not missing:
        return
    shared.state.repeating = True
    shared.view.say(describe_repeats(files, wanted, len(missing)))
    # A plan of its own: fewer runs than the search had at once get more CPUs each.
    plan = make_plan(shared.sweep.resources, nodes, len(missing))
    progress = Progress(
        total=len(wanted),
        slots=plan.slots,
        deadline=None,
        objective=files.info().objective,
        done=len(wanted) - len(missing),
        what="repeat",
    )
    searcher = ListSearch([(repeat.id, repeat_values(files, repeat, base)) for repeat in missing])
    # A repeat is compared by the main objective alone, and its trial has met the constraints.
    goals = Goals((progress.objective,))
    run_tune(shared, plan, progress, Retries(searcher, files), Fifo(), goals)
