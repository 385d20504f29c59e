"""Trials that a new sweep takes from earlier ones: curves where they compare, else the best configs as first trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from segray.errors import ConfigError
from segray.objective import Objective
from segray.records import WarmStart, WarmTrial
from segray.tuning.points import identity
from segray.tuning.preflight import Checked
from segray.tuning.preflight.objective import check_comparable_scores
from segray.tuning.samplers import make_sampler, sampler_name
from segray.tuning.samplers.kind import PointSampler
from segray.tuning.space import Draw
from segray.tuning.sweep import Sweep
from segray.tuning.warm_start.earlier import EarlierSweep, EarlierTrial, read_earlier
from segray.tuning.warm_start.fit import Fit, MisfitError
from segray.tuning.warm_start.portfolio import PORTFOLIO, PORTFOLIO_NAME

NUM_BEST: Final = 3
"""Most trials of an earlier sweep that become first trials"""


def warm_start(sweep: Sweep, checked: Checked) -> WarmStart:
    """Return what a sweep that starts takes from its sources.

    Raises:
        ConfigError: A source searched other keys or lacks the objective's score, or nothing of the portfolio fits.
        StorageError: A source is no sweep.
    """
    taking = _Taking(sweep, checked)
    for source in sweep.warm_start:
        if source == PORTFOLIO_NAME:
            taking.take_portfolio()
        else:
            taking.take_sweep(source)
    return WarmStart(
        curves=tuple(taking.curves),
        first_trials=tuple(draw.drawn for draw in taking.first_trials.values()),
        summary=tuple(taking.summary),
    )


@dataclass
class _Taking:
    """The sources of a warm start, one after the other."""

    sweep: Sweep
    checked: Checked
    curves: list[WarmTrial] = field(default_factory=list)
    first_trials: dict[str, Draw] = field(default_factory=dict)
    """By identity"""
    summary: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._fit = Fit(self.checked, self.sweep.seed)
        self._objective: Objective = self.sweep.goals.main
        sampler = make_sampler(self.sweep.chosen_sampler, self.sweep.seed, self.sweep.sampler_options)
        self._learns_curves = isinstance(sampler, PointSampler)
        self._given = {identity(point) for point in self.checked.first_trials}

    def take_portfolio(self) -> None:
        """Take the configs whose values the space can give."""
        taken, left = 0, []
        for config in PORTFOLIO:
            needed = {key: config.values[key] for key in config.needs}
            if missed := self._fit.missed_key(needed):
                left.append(f"{config.name} (no trial has {missed} {needed[missed]})")
            elif not self._fit.searchable(config.values):
                left.append(f"{config.name} (none of its keys is searched)")
            elif self._add(self._fit.nearest(config.values)):
                taken += 1
            else:
                left.append(f"{config.name} (its values here are those of another first trial)")
        if not taken:
            raise ConfigError(f"--warm-start {PORTFOLIO_NAME} has no config for this sweep: {', '.join(left)}")
        rest = f"; left out: {', '.join(left)}" if left else ""
        self._say(f"{taken} of {len(PORTFOLIO)} configs of the portfolio become first trials{rest}")

    def take_sweep(self, source: str) -> None:
        """Take an earlier sweep's curves if they compare with those of this one, else its best configs."""
        earlier = read_earlier(source, self.sweep.goals)
        self._check_shares_key(earlier)
        difference = self._fit.difference_of_data(earlier)
        if not difference and not self._learns_curves:
            difference = f"sampler {sampler_name(self.sweep.chosen_sampler)} learns from no curves of other sweeps"
        if difference:
            self._take_best(earlier, difference)
            return
        curves, misfits = [], []
        for trial in earlier.trials:
            try:
                curves.append(_curve(earlier, trial, self._fit.exact(trial.config)))
            except MisfitError as misfit:
                misfits.append(str(misfit))
        if not any(curve.scores for curve in curves):
            self._take_best(earlier, f"no trial fits: {_counted(misfits)}")
            return
        self.curves += curves
        left = [*misfits, *earlier.left]
        rest = f"; {len(left)} left out: {_counted(left)}" if left else ""
        self._say(f"{len(curves)} of {len(curves) + len(left)} trials of {earlier.run} (same data){rest}")

    def _check_shares_key(self, earlier: EarlierSweep) -> None:
        searched = self.checked.distributions
        # A single run searched nothing: all of its values are one person's choice, as those of a first trial.
        if not searched or (earlier.info.space and not earlier.info.space.keys() & searched.keys()):
            theirs, own = (", ".join(keys) or "nothing" for keys in (earlier.info.space, searched))
            raise ConfigError(
                f"--warm-start needs a sweep that shares a searched key, but {earlier.run} searched {theirs}, and this "
                f"sweep searches {own}"
            )

    def _take_best(self, earlier: EarlierSweep, why: str) -> None:
        scored = [trial for trial in earlier.trials if trial.scores]
        try:
            # Two losses have other losses for predictions that are equally good.
            check_comparable_scores(self._objective, [trial.config for trial in scored])
        except ConfigError as error:
            raise ConfigError(f"--warm-start {earlier.run}: {error}") from None
        num_taken = 0
        for trial in sorted(scored, key=lambda trial: -trial.best(self._objective)):
            if num_taken < NUM_BEST:
                num_taken += self._add(self._fit.nearest(trial.config.flat()))
        total = len(earlier.trials) + len(earlier.left)
        self._say(f"the best {num_taken} of {total} trials of {earlier.run} become first trials, since {why}")

    def _add(self, draw: Draw) -> bool:
        """Add a first trial; return False if there is one of the same values."""
        key = identity(draw.drawn)
        if key in self._given or key in self.first_trials:
            return False
        self.first_trials[key] = draw
        return True

    def _say(self, line: str) -> None:
        self.summary.append(f"warm start: {line}")


def _curve(earlier: EarlierSweep, trial: EarlierTrial, draw: Draw) -> WarmTrial:
    return WarmTrial(
        run=earlier.run,
        trial=trial.id,
        values=draw.drawn,
        epochs=trial.config.train.epochs,
        scores=dict(trial.scores),
        is_infeasible=trial.is_infeasible,
    )


def _counted(reasons: Sequence[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in Counter(reasons).most_common())
