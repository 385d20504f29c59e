"""Sweeps of tiny trials, trained without Ray in about a second each."""

import fake_sweep

from segray.config import RunConfig
from segray.data.splits.split_record import record_splits
from segray.data.synthetic import write_scenes
from segray.engine.trial import train_trial
from segray.records import Outcome
from segray.trial_log import TrialLog


class Reporter:
    """A reporter that never ends a trial."""

    def hand_over(self, record, final):
        return True

    def interrupted(self):
        return False


def tiny_config(root, **changes):
    """Draw scenes of 64x64 pixels below a folder, and return the config of a run on them."""
    write_scenes("cityscapes", root / "scenes", train=9, val=3, size_px=(64, 64), seed=0)
    values = {
        "data.root": str(root / "scenes"),
        "data.cache_dir": str(root / "cache"),
        "data.holdout": 0.3,
        "model.encoder": "tu-test_resnet",
        "model.encoder_weights": "none",
        "train.batch_size": 2,
        "train.epochs": 2,
        "optim.lr": 0.01,
    }
    return RunConfig().with_values(values | changes)


def train(files, trial_id, config, log=None):
    """Train a trial of a sweep to its end."""
    trial = files.trial(trial_id)
    trial.write_config(config)
    train_trial(config, trial, Reporter(), log=log or TrialLog(None))
    last = trial.pointer("last").record
    trial.finish(Outcome(status="finished", epochs=last.epoch, best_score=last.best_score, best_epoch=last.best_epoch))
    return trial


def sweep_of(root, name, base, trials):
    """Train a sweep: trial id -> values."""
    sweep = fake_sweep.empty_sweep(root, name, base=base.flat())
    sweep.files.write_splits(record_splits(base.data))
    for trial_id, values in trials.items():
        train(sweep.files, trial_id, base.with_values(values))
    return sweep.files
