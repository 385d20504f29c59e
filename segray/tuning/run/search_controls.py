"""Changes of a running search by persons and by its end: points are added, and paused trials end."""

from __future__ import annotations

from collections.abc import Callable

from segray import text
from segray.errors import ConfigError
from segray.records import Outcome
from segray.tuning.preflight.drawn import check_searched
from segray.tuning.preflight.point import check_point
from segray.tuning.run.outcomes import given_up, known_values, outcome_of
from segray.tuning.run.progress import Progress
from segray.tuning.run.study import StudySearch
from segray.tuning.run.tune_run import Shared
from segray.values import Values


class SearchControls:
    """Changes of a running search.

    Args:
        shared: The objects that both phases use.
        searcher: Hands out the trials.
        progress: The search's numbers.
        num_workers: Workers a trial.
    """

    def __init__(self, shared: Shared, searcher: StudySearch, progress: Progress, num_workers: int) -> None:
        self._shared, self._searcher, self._progress, self._num_workers = shared, searcher, progress, num_workers

    def enqueue(self, values: Values, close: Callable[[str], None]) -> int:
        """Make values those of a new trial, after the checks that first trials pass; see ``StudySearch.enqueue``.

        Raises:
            ConfigError: The values cannot be tried.
        """
        checked = self._shared.checked
        if not checked.distributions:
            raise ConfigError("a single run searches nothing, so no point can be enqueued")
        check_searched("enqueue", values, checked.distributions)
        return self._searcher.enqueue(
            values, lambda point: check_point(checked, point, num_workers=self._num_workers), close
        )

    def end_paused(self, trial_id: str, reason: str) -> None:
        """End a paused trial as stopped; do nothing if it has a slot again."""
        for ended in self._searcher.end_paused(trial_id):
            outcome = outcome_of(self._shared.files.trial(ended), "stopped", reason)
            self._finish(ended, outcome)
            self._shared.view.say(f"trial {ended} stopped after {text.counted(outcome.epochs, 'epoch')} ({reason})")

    def give_up_paused(self) -> None:
        """End the trials that were paused, and that the search found not worth more epochs."""
        ended = self._searcher.end_paused()
        for trial_id in ended:
            self._finish(trial_id, given_up(self._shared.files.trial(trial_id)))
        if ended:
            what = text.counted(len(ended), "paused trial")
            self._shared.view.say(f"{what} ended, since further epochs promised no gain: {', '.join(ended)}")

    def _finish(self, trial_id: str, outcome: Outcome) -> None:
        files = self._shared.files.trial(trial_id)
        files.finish(outcome)
        values = known_values(files)
        # An earlier start may have begun it; callbacks hear of each trial's begin once.
        self._shared.callbacks.trial_begins(trial_id, self._shared.checked.base.flat() | values, values)
        self._shared.callbacks.trial_ended(trial_id, outcome)
        self._progress.paused.discard(trial_id)
        self._progress.done += 1
