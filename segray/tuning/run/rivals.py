"""Rivals: which trials are better than another in every objective, at the same share of their schedules."""

from __future__ import annotations

from collections.abc import Mapping

from segray.goals import Goals


class Rivals:
    """The points that trials have reached, by share of their schedules.

    Early stopping compares trials by the main objective alone, which would end each small, fast network. With several
    objectives a trial may only be stopped if another one, no later in its own schedule, is better in every respect.

    Args:
        goals: The objectives.
    """

    def __init__(self, goals: Goals) -> None:
        self._goals = goals
        self._points: dict[str, dict[float, tuple[float | None, ...]]] = {}

    def add(self, trial_id: str, share: float, best: float, scores: Mapping[str, float | None]) -> None:
        """Take in an epoch.

        Args:
            trial_id: Id of the trial.
            share: Completed share of its schedule.
            best: Its best score so far.
            scores: Values of the epoch's record by name.
        """
        if self._goals.others:
            others = (scores.get(other.name) for other in self._goals.others)
            self._points.setdefault(trial_id, {})[share] = (best, *others)

    def may_stop(self, trial_id: str) -> bool:
        """Return whether another trial dominates the trial as it was at its latest share; True with one objective."""
        if not self._goals.others or trial_id not in self._points:
            return True
        share, point = max(self._points[trial_id].items())
        others = (points for other, points in self._points.items() if other != trial_id)
        reached = (
            max((at, found) for at, found in points.items() if at <= share) for points in others if min(points) <= share
        )
        return any(self._goals.dominates(found, point) for _, found in reached)
