"""load(): read a sweep's files into SweepResults, whether the sweep is finished, running or dead."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import pandas as pd

from segray import text
from segray.objective import MIOU, Objective, find_objective
from segray.owner import status_now
from segray.records import FAILURES, STOPPED_EARLY, SweepInfo, SweepStatus
from segray.results.confirmation import Confirmation, confirm
from segray.results.frames import (
    TRIAL_COLUMNS,
    Series,
    TrialContent,
    classes_frame,
    epochs_frame,
    other_columns,
    read_trials,
    repeats_frame,
    trials_frame,
)
from segray.results.pareto import hypervolume_history, pareto_front
from segray.results.race import Race, race, raced_repeats
from segray.results.searched import SearchedKey, searched_keys
from segray.split_scores import SplitScores
from segray.storage import BASELINE_ID, Repeat, SweepFiles, open_sweep


@dataclass(frozen=True)
class ExtraScore:
    """A score of each trial that tables show beside the objective."""

    column: str
    """Its column in ``trials``, at the best epoch"""
    heading: str
    score: Objective
    """The way to show it"""


EXTRA_SCORES: Final = (
    ExtraScore("val_miou", "val mIoU", MIOU),
    ExtraScore("cluster_accuracy", "cluster accuracy", find_objective("val_cluster_accuracy")),
)

LONG_SCORES: Final = {"confusion", "calibration", "images"}
"""Parts of test.json that a program reads there, because they are longer than all else about a sweep"""


# The == of two frames is a frame, which has no truth value, and a frame has no hash: compare results by identity.
@dataclass(frozen=True, eq=False)
class SweepResults:
    """The results of a sweep so far. Fractions are 0 to 1; missing values are NaN."""

    files: SweepFiles
    info: SweepInfo
    state: SweepStatus
    """``finished``, ``running``, or ``interrupted``: stopped on purpose, or dead"""
    num_planned: int
    """Number of trials asked for; if only time is limited, the number of trials that have ended"""
    seconds: float
    """Wall time of the sweep over all its starts"""
    trials: pd.DataFrame
    """One row per trial: id, outcome, reason, traceback, epochs, best_epoch, best_val_miou (named after the objective),
    val_miou and cluster_accuracy (both at the best epoch), seconds, drawn (keys that the search drew or derived from
    drawn keys), the other objectives (at the best epoch), config keys"""
    epochs: pd.DataFrame
    """One row per trial and epoch, by epoch within a trial: trial, every scalar of the EpochRecord, and the scores of
    ``SCORES``; a value that could not be computed is NaN"""
    classes: pd.DataFrame
    """One row per trial, epoch and class: trial, epoch, class, iou"""
    repeats: pd.DataFrame
    """One row per repeat of one of the best trials or the baseline: trial, id, seed, epochs (to train), outcome,
    reason, best_val_miou (named after the objective), seconds"""
    num_test_images: int
    """Number of images that no trial is chosen by; 0 if the data has none"""
    last_test: SplitScores | None
    """Last scores on the test images, of the trial that was the best one then"""
    damage: tuple[str, ...] = ()
    """One phrase for each damaged file, with the trial that is left out because of it"""
    num_left_out: int = 0
    """Number of the search's trials that are not in the frames, because their files are damaged"""
    held_since: float | None = None
    """Unix time since which a running sweep is on hold, because a person paused it; None if it trains"""

    @cached_property
    def config_keys(self) -> tuple[str, ...]:
        """The dotted config keys, each a column of ``trials``."""
        return tuple(self.trials.columns[len(TRIAL_COLUMNS) + len(other_columns(self.info.objectives)) :])

    @property
    def objective_label(self) -> str:
        """The objective in a sentence, which says so if its images trained the model."""
        return self.info.objective.label + (" (trained on)" if self.info.trains_on_val else "")

    @property
    def is_single_run(self) -> bool:
        """Whether nothing was searched and there is nothing to compare, as with ``segray train``."""
        return not self.info.space and len(self.trials) <= 1

    @cached_property
    def searched(self) -> tuple[SearchedKey, ...]:
        """The searched keys that any trial drew, in the order of the space."""
        started = self.trials[self.trials["drawn"].map(bool)].to_dict("records")
        # For a key that a trial did not draw, its config holds the base's value, which had no effect.
        drawn = {key: [trial[key] for trial in started if key in trial["drawn"]] for key in self.info.space}
        return searched_keys({key: values for key, values in drawn.items() if values})

    @cached_property
    def ranked(self) -> pd.DataFrame:
        """The rows of ``trials`` that have a score and did not fail, best first."""
        objective = self.info.objective
        valid = ~self.trials["outcome"].isin(FAILURES) & self.trials[objective.column].notna()
        # Stable: of two trials with equal scores the earlier one is the best, as in SweepFiles.best.
        return self.trials[valid].sort_values(
            objective.column, ascending=objective.direction == "minimize", kind="stable"
        )

    def best_trial(self) -> Series | None:
        """Return the row of the trial with the best score among trials that did not fail; None if there is none."""
        return None if self.ranked.empty else self.ranked.iloc[0]

    @property
    def test(self) -> SplitScores | None:
        """The best trial's scores on the test images; None if its best checkpoint has not been scored."""
        best, scored = self.best_trial(), self.last_test
        # test.json may still hold the scores of the trial or epoch that was the best one before a resume.
        if best is None or scored is None or (scored.trial, scored.epoch) != (best["id"], best["best_epoch"]):
            return None
        return scored

    @property
    def test_objective(self) -> Objective:
        """The score to report of test images: the objective, or mIoU if the test scores do not have it."""
        objective = self.info.objective
        return objective if self.test and self.test.score(objective.name) is not None else MIOU

    @cached_property
    def num_in_mean(self) -> tuple[int, int]:
        """Number of classes that val mIoU averages: the fewest and the most over all epochs, 0 before the first."""
        if self.info.val_classes:
            return len(self.info.val_classes), len(self.info.val_classes)
        # An earlier version also counted classes that validation lacks but the model predicted for a pixel.
        counts = self.classes.groupby(["trial", "epoch"])["iou"].count()
        return (0, 0) if counts.empty else (int(counts.min()), int(counts.max()))

    def mean_text(self) -> str:
        """Return which classes val mIoU averages: ``mean over 10 of 19 classes``; empty before the first epoch."""
        (fewest, most), total = self.num_in_mean, len(self.info.classes)
        if fewest < most:
            return f"mean over {fewest} to {most} of {total} classes"
        return text.mean_over(most, total) if most else ""

    def first_trial(self) -> Series | None:
        """Return the row of the baseline: the trial that starts first; None before it has started."""
        # By id, not by position: the baseline's slot may start later than the others, or its files may be damaged.
        found = self.trials[self.trials["id"] == BASELINE_ID]
        return None if found.empty else found.iloc[0]

    def confirmation(self) -> Confirmation | None:
        """Return the repeats of the best trial beside the baseline's repeats; None if there are none.

        Only repeats of the present best trial and of the baseline count, if they train for the best trial's number of
        epochs, and only seeds that both have.
        """
        best = self.best_trial()
        if best is None or self.first_trial() is None:
            return None
        return confirm(self.raced_repeats, self.info.objective, best.to_dict(), self._opponent_id())

    def _opponent_id(self) -> str | None:
        """Return the id of the baseline; None if the baseline is the best trial itself or failed."""
        best, first = self.best_trial(), self.first_trial()
        is_alone = first is None or (best is not None and first["id"] == best["id"]) or first["outcome"] in FAILURES
        return None if is_alone else BASELINE_ID

    @cached_property
    def raced_repeats(self) -> pd.DataFrame:
        """The rows of ``repeats`` that are compared: of trials that did not fail, with the epochs of the race."""
        best = self.best_trial()
        if best is None or "train.epochs" not in self.config_keys:
            return self.repeats[:0]
        return raced_repeats(self.repeats, self.trials, best.to_dict())

    @cached_property
    def race(self) -> Race | None:
        """All repeated trials with the chance of each to be the best; None if no repeat has a score."""
        return race(self.raced_repeats, self.info.objective)

    def progress(self) -> str:
        """Return the number of trials started, and the total if more are to come: ``16``, ``7 of 16``."""
        # Trials that are left out for damage were started too.
        started = len(self.trials) + self.num_left_out
        return f"{started} of {self.num_planned}" if started < self.num_planned else str(started)

    @property
    def has_clusters(self) -> bool:
        """Whether trials were trained on K-Means clusters and so have a cluster accuracy."""
        return bool(self.trials["cluster_accuracy"].notna().any())

    @cached_property
    def extra_scores(self) -> tuple[ExtraScore, ...]:
        """The scores that tables show beside the main objective: the others, mIoU, and that on clusters."""
        shown = {"val_miou": self.info.objective.name != "val_miou", "cluster_accuracy": self.has_clusters}
        others = [other for other in self.info.objectives[1:] if other.name in other_columns(self.info.objectives)]
        return (
            *(ExtraScore(other.name, other.label, other) for other in others),
            *(score for score in EXTRA_SCORES if shown[score.column] and score.score not in others),
        )

    @cached_property
    def pareto(self) -> pd.DataFrame:
        """The rows of ``ranked`` that no other dominates, the best by the main objective first."""
        return pareto_front(self.ranked, self.info.goals)

    def seconds_saved(self) -> float:
        """Estimate the training time that early stopping saved, in seconds over all trials.

        A trial that the scheduler stopped saved the epochs that it did not run, at its own mean seconds per epoch.
        """
        if "train.epochs" not in self.config_keys:
            return 0.0
        early = self.trials["reason"].str.startswith(STOPPED_EARLY)
        stopped = self.trials[(self.trials["outcome"] == "stopped") & early].set_index("id")
        planned = stopped["train.epochs"].astype("float64").clip(upper=self.info.max_epochs)
        mean_seconds = self.epochs.groupby("trial")["epoch_seconds"].mean().reindex(stopped.index)
        # sum() skips NaN: a trial whose records are damaged has no pace and adds nothing.
        return float(((planned - stopped["epochs"]).clip(lower=0) * mean_seconds).sum())

    def as_json(self) -> dict[str, object]:
        """Return the sweep, its metric, test scores and trials with flat configs, in types that JSON has; NaN is None.

        The classes in the mean are None for sweeps of an earlier version, which averaged other classes in each epoch.
        The test scores are None if the best trial has not been scored. Left out are: the test scores if there are no
        test images, the confirmation, the race and the repeats if there are no repeats, the lineage and the damage if
        there is none. ``val_images_train`` is there, and true, if the validation images trained the model. A sweep with
        several objectives has their names, the ids of its Pareto front, and the hypervolume after each trial.
        """
        objective = self.info.objective
        columns = ["id", "outcome", "epochs", objective.column, "seconds", "drawn"]
        columns += [score.column for score in self.extra_scores]
        trials = [
            {column: _json_value(row[column]) for column in columns}
            | {"config": {key: _json_value(row[key]) for key in self.config_keys}}
            for row in self.trials.to_dict("records")
        ]
        classes = {"classes": list(self.info.classes), "classes_in_mean": list(self.info.val_classes) or None}
        metric = {"metric": objective.name, "direction": objective.direction}
        sweep = {"sweep": self.info.name, **metric, **classes, **self._goals_as_json()}
        test = (
            {"test": self.test and self.test.model_dump(mode="json", exclude=LONG_SCORES)}
            if self.num_test_images
            else {}
        )
        found = self.confirmation()
        repeats = [{key: _json_value(value) for key, value in row.items()} for row in self.repeats.to_dict("records")]
        confirmed = {"confirmation": found and found.as_json(), "race": self.race and self.race.as_json()}
        repeated = {**confirmed, "repeats": repeats} if repeats else {}
        biased = {"val_images_train": True} if self.info.trains_on_val else {}
        origin = [item.model_dump(mode="json") for item in self.info.lineage]
        lineage = {"lineage": origin} if origin else {}
        damage = {"damage": list(self.damage)} if self.damage else {}
        return {**sweep, **lineage, **biased, **test, "trials": trials, **repeated, **damage}

    def _goals_as_json(self) -> dict[str, object]:
        """Return what a sweep with several objectives or constraints has beside others; empty for others."""
        info = self.info
        goals: dict[str, object] = {}
        if len(info.objectives) > 1:
            history = hypervolume_history(self.ranked, info.goals)
            goals["objectives"] = [{"name": item.name, "direction": item.direction} for item in info.objectives]
            goals["pareto"] = self.pareto["id"].tolist()
            goals["hypervolume"] = history.to_dict("records")
        return goals | ({"constraints": list(info.constraints)} if info.constraints else {})

    def as_csv(self) -> str:
        """Return ``trials`` as CSV with a header, without tracebacks; drawn keys are separated by spaces."""
        left_out = ["traceback", *(score.column for score in EXTRA_SCORES if score not in self.extra_scores)]
        return self.trials.assign(drawn=self.trials["drawn"].map(" ".join)).drop(columns=left_out).to_csv(index=False)


def load(path: str | Path) -> SweepResults:
    """Read a sweep that is finished, running or dead.

    Args:
        path: The sweep's folder, such as ``runs/camvid``, or its URL.

    Raises:
        StorageError: There is no sweep, or it cannot be read.
    """
    files = open_sweep(path)
    info, state, damage = files.info(), files.state(), files.damage()
    # Nothing can replace damaged splits, but here they only tell the number of test images: the results go on.
    splits = None if "splits.json" in damage else files.splits()
    found, repeats = read_trials(files.trials()), files.repeats()
    found_repeats = dict(zip(repeats, read_trials(list(repeats.values())), strict=True))
    contents = [content for content in found if not content.is_left_out]
    status = status_now(files.folder, state)
    # Repeats begin when the search is over: a trial of the search that is still open then was cut short.
    is_repeating = status == "running" and state is not None and state.repeating
    trials = trials_frame(
        contents,
        info.objectives,
        unended="running" if status == "running" and not is_repeating else "interrupted",
        paused=() if state is None else state.paused,
    )
    return SweepResults(
        files=files,
        info=info,
        state=status,
        # There is no state if the sweep was killed before it wrote one, or if state.json is damaged.
        num_planned=len(found) if state is None else state.trials,
        seconds=float(trials["seconds"].sum()) if state is None else state.seconds,
        trials=trials,
        epochs=epochs_frame(contents, info.objectives),
        classes=classes_frame(contents, info.classes),
        repeats=repeats_frame(
            {repeat: content for repeat, content in found_repeats.items() if not content.is_left_out},
            info.objective,
            unended="running" if is_repeating else "interrupted",
        ),
        num_test_images=len(splits.test) if splits else 0,
        last_test=files.test_scores(),
        damage=(
            *(f"the sweep: {file_damage}" for file_damage in damage.values()),
            *(_describe_damage(trial) for trial in (*found, *found_repeats.values()) if trial.damage),
        ),
        num_left_out=len(found) - len(contents),
        held_since=state.held_since if state is not None and status == "running" else None,
    )


def _describe_damage(trial: TrialContent) -> str:
    what = "repeat" if Repeat.parse(trial.id) else "trial"
    return f"{what} {trial.id}{' is left out' if trial.is_left_out else ''}: {trial.damage}"


def _json_value(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    return None if text.is_missing(value) else value
