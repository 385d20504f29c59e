"""Retries of trials that lose their slot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ray.tune.search import Searcher

from segray.storage import SweepFiles
from segray.trial_files import undamaged
from segray.tuning.run.exchange import News, Proposal

MAX_DEATHS = 3
"""Number of deaths of a trial's slot, without an epoch between them, after which the trial has failed."""


class Retries(Searcher):
    """A searcher that hands out another searcher's trials, and again each trial whose slot died.

    Tune's own retries count a slot twice that dies before it has taken its next trial, so that trial would fail at its
    first death.

    Args:
        searcher: Proposes the trials; a trial whose slot died is no new trial to it. It returns None where it may have
            a trial later.
        sweep: The sweep's files. They tell of epochs that a slot could not pass on before it died.
    """

    def __init__(self, searcher: Searcher, sweep: SweepFiles) -> None:
        super().__init__()
        self._searcher, self._sweep = searcher, sweep
        self._epochs: dict[str, int] = {}
        self._running: dict[str, tuple[str, Proposal]] = {}
        self._again: list[tuple[str, Proposal]] = []
        self.deaths: Counter[str] = Counter()
        """Trial -> deaths of its slots since its last epoch"""
        self.is_held = False
        """Whether no trial is handed out for now, because a person paused the sweep"""
        self.look: Callable[[], bool] = lambda: False
        """Called while no trial is handed out: hears requests, and returns whether to end the phase"""

    def suggest(self, trial_id: str) -> Proposal | str | None:
        """Return the next trial; None while none may begin, or a running one may have to be handed out again."""
        # Without a trial in a slot, Tune asks here once a second for ten minutes, and calls nobody else meanwhile.
        if self.is_held and self.look():
            return str(Searcher.FINISHED)
        if self.is_held:
            return None
        if self._again:
            self._running[trial_id] = self._again.pop(0)
            return self._running[trial_id][1]
        proposed: Proposal | str | None = self._searcher.suggest(trial_id)
        if isinstance(proposed, dict):
            self._running[trial_id] = trial_id, proposed
        elif self._running:
            # None makes Tune ask again; FINISHED would end the search, and a lost trial could not come back.
            return None
        return proposed

    def on_trial_result(self, trial_id: str, result: News) -> None:
        """Pass an epoch on."""
        first_id, proposed = self._running[trial_id]
        # Preemptible nodes may kill slots again and again; a trial that makes progress in between is not at fault.
        del self.deaths[proposed["trial"]]
        self._searcher.on_trial_result(first_id, result)

    def on_trial_complete(self, trial_id: str, result: News | None = None, error: bool = False) -> None:
        """Pass a trial's end on, unless its slot died and it is handed out again."""
        first_id, proposed = self._running.pop(trial_id)
        if error:
            self._count_death(proposed["trial"])
            if self.goes_on(proposed["trial"]):
                # The wrapped searcher knows the trial by its first id.
                self._again.append((first_id, proposed))
                return
        self._searcher.on_trial_complete(first_id, result, error)

    def _count_death(self, trial: str) -> None:
        files = self._sweep.trial(trial)
        last = undamaged(lambda: files.pointer("last"))
        epoch = last.record.epoch if last else 0
        if epoch > self._epochs.get(trial, 0):
            del self.deaths[trial]
        self._epochs[trial] = epoch
        self.deaths[trial] += 1

    def goes_on(self, trial: str) -> bool:
        """Return whether a trial whose slot died is handed out again."""
        return self.deaths[trial] < MAX_DEATHS

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the sweep's files say what is left."""

    def __getstate__(self) -> dict[str, object]:
        return {}
