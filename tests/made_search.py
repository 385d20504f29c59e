"""A search over made curves, driven as Ray Tune drives it: the searcher, samplers and schedulers of a sweep, no Ray.

The files are written as slots and supervisor write them, so a search can be killed at any event and resumed.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path

from fake_sweep import record

from segray.goals import DEFAULT_GOALS
from segray.records import Outcome
from segray.tuning.run.early_stopping import EarlyStopping
from segray.tuning.run.retries import Retries
from segray.tuning.run.study import StudySearch
from segray.tuning.samplers import samplers_by_trial
from segray.tuning.schedulers import StoppingSettings, find_scheduler
from segray.tuning.space import CappedSpace


def made_space(trial):
    trial.suggest_float("optim.lr", 1e-4, 1e-1, log=True)
    if trial.suggest_categorical("optim.name", ["adamw", "sgd"]) == "sgd":
        trial.suggest_float("optim.momentum", 0.5, 0.99)
    trial.suggest_int("train.batch_size", 2, 16, step=2)


def made_curve(values, num_epochs):
    """Scores by epoch: the end depends on the values, and how fast a trial gets there on its batch size."""
    end = 0.6 - 0.12 * abs(math.log10(values["optim.lr"]) + 2) - 0.05 * (values["optim.name"] == "sgd")
    speed = 1 + values["train.batch_size"] / 4
    return [end * (1 - math.exp(-speed * epoch / num_epochs)) for epoch in range(1, num_epochs + 1)]


class KilledError(Exception):
    """The driver's process is gone."""


@dataclass
class TuneTrial:
    trial_id: str
    config: dict
    left: list = field(default_factory=list)


class MadeSearch:
    """One start of a search.

    Args:
        files: The sweep's files; those of an earlier start make it a resume.
        sampler, scheduler: Names.
        num_trials: Limit over all starts.
        kill_at: Number of the event at which the driver dies; None lets it live.
        properties: Returns what a network's values say of its properties, by name.
    """

    def __init__(
        self,
        files,
        sampler="freeze_thaw",
        scheduler="freeze_thaw",
        *,
        num_trials=10,
        max_epochs=6,
        slots=1,
        goals=DEFAULT_GOALS,
        curve=made_curve,
        space=made_space,
        kill_at=None,
        grace_epochs=1,
        properties=lambda values: {},
        seed=5,
    ):
        self.files, self.goals, self.curve, self.slots, self.kill_at = files, goals, curve, slots, kill_at
        self.objective = goals.main
        self.max_epochs, self.properties = max_epochs, properties
        earlier = sum(trial.outcome() is not None for trial in files.trials())
        sampler_of = samplers_by_trial(sampler, seed)
        self.searcher = StudySearch(
            files,
            CappedSpace(space, max_epochs),
            sampler_of(0),
            [],
            Path(files.folder.path, "driver.db"),
            files,
            goals,
            [].append,
            max_epochs=max_epochs,
            num_trials=num_trials - earlier,
            sampler_of=sampler_of,
        )
        settings = StoppingSettings(
            max_epochs=max_epochs,
            grace_epochs=grace_epochs,
            reduction_factor=3,
            objective=goals.main,
            search=self.searcher,
        )
        self.scheduler = EarlyStopping(find_scheduler(scheduler).build(settings), files, files, max_epochs, goals)
        if self.scheduler.pauses:
            self.searcher.follow(self.scheduler)
        self.tune = Retries(self.searcher, files)
        self.events, self.switches, self.num_suggested = 0, 0, 0
        self.scores = []

    def run(self):
        running = []
        while True:
            while len(running) < self.slots:
                begun = self.suggest()
                if begun is None:
                    break
                running.append(begun)
            if not running:
                break
            trial = running.pop(0)
            if self.step(trial):
                running.append(trial)
        for trial_id in self.searcher.end_paused():
            self.finish(trial_id, "stopped")
        return self

    def suggest(self):
        self.num_suggested += 1
        tune_id = f"tune{self.num_suggested}"
        proposal = self.tune.suggest(tune_id)
        if not isinstance(proposal, dict):
            return None
        self.event()
        trial = TuneTrial(tune_id, proposal)
        files, values = self.files.trial(proposal["trial"]), proposal["values"]
        files.write_values(values)
        num_epochs = values.get("train.epochs", self.max_epochs)
        trial.left = list(enumerate(self.curve(values, num_epochs), start=1))[len(files.records()) :]
        self.scheduler.on_trial_add(None, trial)
        self.event()
        return trial

    def step(self, trial):
        """Train an epoch; return whether the trial keeps its slot."""
        trial_id = trial.config["trial"]
        files = self.files.trial(trial_id)
        if trial.left and trial.left[0][1] is None:
            return self.fail(trial)
        if not trial.left:
            return self.finished(trial, files.records()[-1])
        epoch, score = trial.left.pop(0)
        self.scores.append(score)
        earlier = [item.scores[self.objective.name] for item in files.records()]
        best = max([*earlier, score], key=self.objective.rank)
        made = record(epoch, score, loss=score)
        best_epoch = epoch if best == score else files.records()[-1].best_epoch
        scores = made.scores | self.properties(trial.config["values"])
        made = made.model_copy(update={"best_score": best, "best_epoch": best_epoch, "scores": scores})
        self.event()
        files.append_record(made)
        self.event()
        if not trial.left:
            return self.finished(trial, made)
        result = self.news(made)
        if self.scheduler.on_trial_result(None, trial, result) != "STOP":
            self.tune.on_trial_result(trial.trial_id, result)
            return True
        result["done"] = True
        self.event()
        if not self.scheduler.is_paused(trial_id):
            self.finish(trial_id, "stopped")
        else:
            self.switches += 1
        self.tune.on_trial_complete(trial.trial_id, result)
        self.event()
        return False

    def fail(self, trial):
        result = {"epoch": 0, "best_score": math.nan, "record": None, "status": "diverged", "done": True}
        self.scheduler.on_trial_complete(None, trial, result)
        self.finish(trial.config["trial"], "diverged")
        self.tune.on_trial_complete(trial.trial_id, result)
        return False

    def finished(self, trial, made):
        result = self.news(made, "finished")
        self.scheduler.on_trial_complete(None, trial, result)
        self.finish(trial.config["trial"], "finished")
        self.event()
        self.tune.on_trial_complete(trial.trial_id, result)
        self.event()
        return False

    def news(self, made, status=None):
        return {
            "epoch": made.epoch,
            "best_score": made.best_score,
            "record": made,
            "status": status,
            "done": status is not None,
        }

    def finish(self, trial_id, status):
        files = self.files.trial(trial_id)
        records = files.records()
        best = records[-1].best_score if records else None
        files.finish(Outcome(status=status, epochs=len(records), best_score=best))

    def event(self):
        self.events += 1
        if self.events == self.kill_at:
            raise KilledError


def told(files):
    """What a sweep's files tell of each trial: its values, how many epochs it trained, and how it ended."""
    return {
        trial.id: (trial.values(), len(trial.records()), getattr(trial.outcome(), "status", None))
        for trial in files.trials()
    }
