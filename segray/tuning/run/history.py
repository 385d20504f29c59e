"""Optuna trials of a sweep's earlier starts, rebuilt from the trials' files, which are the truth."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NoReturn

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from segray import text
from segray.config import flatten
from segray.errors import ConfigError, StorageError
from segray.goals import Goals
from segray.records import EpochRecord, Outcome, WarmStart, WarmTrial
from segray.storage import SweepFiles
from segray.trial_files import TrialFiles, undamaged
from segray.tuning.attributes import EPOCHS, INFEASIBLE, INFEASIBLE_ENDS, OTHERS, SECONDS
from segray.tuning.points import Point, draw_point, first_of, identity
from segray.tuning.space import EPOCHS_KEY, Distribution, Space, draw_from
from segray.values import Values

MOST_MISSING = 10_000
"""Limit of missing trial numbers; beyond it, a folder has a name that segray did not give."""

Announce = Callable[[str], None]


def folder_name(number: int) -> str:
    """Return the name of an Optuna trial's folder."""
    return f"{number:04d}"


def scores_by_epoch(records: Iterable[EpochRecord], goals: Goals) -> dict[int, float]:
    """Return epoch -> score of the main objective; epochs without a score are left out."""
    scores = {record.epoch: record.scores.get(goals.main.name) for record in records}
    return {epoch: score for epoch, score in scores.items() if score is not None}


def others_at_best(records: Iterable[EpochRecord], goals: Goals) -> dict[str, float | None]:
    """Return the values of the other objectives at the latest best epoch, by name; empty if there is none."""
    found: dict[str, float | None] = {}
    for record in records:
        if record.best_epoch == record.epoch:
            found = {other.name: record.scores.get(other.name) for other in goals.others}
    return found


def final_values(best: float | None, others: Mapping[str, float | None], goals: Goals) -> list[float] | None:
    """Return the values of a finished trial, one per objective; None if one is missing."""
    values = [best, *(others.get(other.name) for other in goals.others)]
    # A trial without a score has the best score NaN on its way through Ray Tune.
    known = [value for value in values if value is not None and not math.isnan(value)]
    return known if len(known) == len(values) else None


def earlier_trials(
    sweep: SweepFiles,
    space: Space,
    database: Path,
    goals: Goals,
    announce: Announce,
    *,
    max_epochs: int,
    with_epochs: bool,
) -> list[FrozenTrial]:
    """Return every trial that earlier starts began, in the order of their numbers.

    Values, epochs and outcomes come from the trials' files. study.db only adds trials without files, which were
    proposed when the driver died. So nothing is lost with a study.db that is missing, damaged, older, or of another
    sweep.

    Args:
        sweep: The sweep's files.
        space: Gives the distributions of a trial's values.
        database: Path that study.db is copied to; the copy stays if ``StudyFile`` can make it agree with the files.
        goals: The objectives that Optuna hears.
        announce: Called with each line on what was wrong.
        max_epochs: Length of a trial's schedule, if its values do not say another.
        with_epochs: Whether the study holds the scores of epochs.

    Raises:
        StorageError: A trial's folder has a number far beyond the others.
    """

    def from_files(number: int, drawn: Point | FrozenTrial, num_epochs: object) -> FrozenTrial:
        trial = _from_files(begun[number], drawn, goals, num_epochs, with_epochs=with_epochs)
        # Samplers such as CMA-ES keep their state there.
        if number in stored:
            trial.system_attrs = stored[number].system_attrs | trial.system_attrs
        return trial

    begun = {int(files.id): files for files in sweep.trials() if folder_name(int(files.id)) == files.id}
    stored, problem = _stored_trials(sweep, database)
    found = {
        number: from_files(number, _redraw(space, known), known.get(EPOCHS_KEY, max_epochs))
        for number, files in begun.items()
        if (known := _known_values(files)) is not None
    }
    # One trial with other values is enough: an older copy, or another sweep's study, has the same numbers.
    if any(_differ(trial, stored[number]) for number, trial in found.items() if number in stored):
        stored, problem = {}, "held other trials"
    if lacked := sorted(begun.keys() - stored.keys()):
        problem = problem or f"lacked trial {', '.join(map(folder_name, lacked))}"
    if problem:
        announce(f"study.db {problem}: rebuilt from the files of {text.counted(len(begun), 'trial')}")
    for number, trial in stored.items():
        if number in begun and number not in found:
            found[number] = from_files(number, trial, trial.user_attrs.get(EPOCHS, max_epochs))
        # Earlier versions put first trials without a turn into the study; they are WAITING and come from the sweep.
        elif number not in begun and trial.state != TrialState.WAITING:
            found[number] = trial
    for number in begun.keys() - found.keys():
        announce(_lost(number))
    earlier = _in_order(sweep, begun, found)
    if not _can_catch_up(stored, earlier):
        database.unlink(missing_ok=True)
    return earlier


def _lost(number: int) -> str:
    return (
        f"trial {folder_name(number)} cannot go on, because neither its values.json nor its config.json can be read: "
        "restore one of them from a backup, or leave the trial as it is"
    )


def trials_of_others(warm: WarmStart, space: Space) -> list[FrozenTrial]:
    """Return the trials that a warm start took from earlier sweeps, with numbers from -1 down.

    Raises:
        ConfigError: The space is not the one for which they were taken.
    """
    trials = [_of_other(trial, space) for trial in warm.curves]
    # Numbers from 0 are names of this sweep's own folders.
    for position, trial in enumerate(trials, start=1):
        trial.number = -position
    return trials


def _of_other(trial: WarmTrial, space: Space) -> FrozenTrial:
    draw = draw_point(space, Point(trial.values, first_of))
    return create_trial(
        state=TrialState.PRUNED,
        params=draw.drawn,
        distributions=draw.distributions,
        intermediate_values=trial.scores,
        user_attrs={EPOCHS: trial.epochs},
        constraints={INFEASIBLE: 1.0} if trial.is_infeasible else {},
    )


def _can_catch_up(stored: Mapping[int, FrozenTrial], earlier: Sequence[FrozenTrial]) -> bool:
    """Return whether a stored study only lacks the ends of trials; a new study would take 30 ms a trial."""
    return len(stored) == len(earlier) and all(
        have.params.keys() == true.params.keys()
        and (
            have.state == TrialState.RUNNING
            or (have.state, have.intermediate_values, have.constraints)
            == (true.state, true.intermediate_values, true.constraints)
        )
        for have, true in ((stored[number], true) for number, true in enumerate(earlier))
    )


def _in_order(
    sweep: SweepFiles, begun: Mapping[int, TrialFiles], found: Mapping[int, FrozenTrial]
) -> list[FrozenTrial]:
    last = max((*begun, *found), default=-1)
    # Each missing number becomes a placeholder: a folder that is named like a date would make 20 million of them.
    if last > len(begun) + len(found) + MOST_MISSING:
        path = sweep.trial(folder_name(last)).folder.path
        raise StorageError(
            f"folders of trials must be numbered one after another, but {path!r} is one of {len(begun)}; move it "
            "elsewhere if it is not this sweep's"
        )
    # Optuna numbers trials by position, so later trials keep their numbers only with a placeholder in each gap.
    return [found.get(number) or create_trial(state=TrialState.FAIL) for number in range(last + 1)]


def _differ(trial: FrozenTrial, other: FrozenTrial) -> bool:
    """Return whether two trials drew different values for a key of both."""
    common = trial.params.keys() & other.params.keys()
    return identity({key: trial.params[key] for key in common}) != identity({key: other.params[key] for key in common})


def _stored_trials(sweep: SweepFiles, database: Path) -> tuple[dict[int, FrozenTrial], str]:
    """Return the trials of study.db by number, and what is wrong with the file."""
    if not sweep.folder.exists("study.db"):
        return {}, "was missing"
    database.write_bytes(sweep.folder.read_bytes("study.db"))
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{database}")
        try:
            if sweep.name not in optuna.get_all_study_names(storage):
                return {}, "did not hold this sweep"
            study = optuna.load_study(study_name=sweep.name, storage=storage)
            return {trial.number: trial for trial in study.get_trials()}, ""
        finally:
            storage.remove_session()
            storage.engine.dispose()
    except Exception as error:
        # A damaged database makes SQLite, SQLAlchemy or Optuna raise anything; nothing is lost without it.
        return {}, f"was damaged ({type(error).__name__})"


def _known_values(files: TrialFiles) -> dict[str, object] | None:
    """Return the values that a trial began with; without values.json, its whole config."""
    values, config = undamaged(files.values), undamaged(files.config)
    if values is None and config is not None:
        # The config holds more keys than were drawn, but the space asks for its own alone.
        return flatten(config)
    return values


def values_again(files: TrialFiles, space: Space, trial: optuna.Trial) -> dict[str, object]:
    """Return the values that an unfinished trial began with, from its files if it has any, else from the study."""
    values, config = undamaged(files.values), undamaged(files.config)
    if values is not None:
        return values
    drawn = draw_from(space, trial).values
    return drawn if config is None else {key: flatten(config)[key] for key in drawn}


def _redraw(space: Space, values: Values) -> Point:
    """Return the values as parameters with their distributions, without values that the space cannot give."""

    def missing(_: Point, name: str, __: Distribution) -> NoReturn:
        raise ValueError(f"{name} is not among the trial's values")

    point = Point(values, missing)
    # A trial of an older space still has its epochs and its outcome.
    with contextlib.suppress(ConfigError):
        draw_point(space, point)
    return point


def _from_files(
    files: TrialFiles, drawn: Point | FrozenTrial, goals: Goals, num_epochs: object, *, with_epochs: bool
) -> FrozenTrial:
    outcome, records = files.outcome(), files.records()
    epochs, others = scores_by_epoch(records, goals), others_at_best(records, goals)
    state, values = _state(outcome, epochs, others, goals)
    return create_trial(
        state=state,
        values=values,
        params=drawn.params,
        distributions=drawn.distributions,
        intermediate_values=epochs if with_epochs else {},
        user_attrs={
            EPOCHS: num_epochs,
            **({SECONDS: fmean(record.epoch_seconds for record in records)} if records else {}),
            **({OTHERS: others} if others else {}),
        },
        constraints={INFEASIBLE: 1.0} if outcome and outcome.status in INFEASIBLE_ENDS else {},
    )


def _state(
    outcome: Outcome | None, epochs: Mapping[int, float], others: Mapping[str, float | None], goals: Goals
) -> tuple[TrialState, list[float] | None]:
    if outcome is None:
        return TrialState.RUNNING, None
    if outcome.status == "finished" and (values := final_values(outcome.best_score, others, goals)):
        return TrialState.COMPLETE, values
    # A person may stop a trial before its first epoch; to samplers, it never happened.
    if outcome.status in INFEASIBLE_ENDS or (outcome.status in ("finished", "stopped") and epochs):
        # Optuna itself gives a pruned trial its last intermediate value, if there is one objective.
        return TrialState.PRUNED, [epochs[max(epochs)]] if epochs and not goals.others else None
    return TrialState.FAIL, None
