"""Search on drawn street scenes: a first look at segray that needs no download and no GPU.

Command:        make demo, or python sweeps/demo_search.py
Data:           drawn on the first run into data/synthetic (300 training and 60 validation scenes of 128x256)
"""

from __future__ import annotations

from pathlib import Path

import optuna

from segray.config import RunConfig
from segray.data.synthetic import write_cityscapes
from segray.tuning.study import Study

SCENES = Path("data/synthetic")

BASE = RunConfig().with_values(
    {
        "data.dataset": "cityscapes",
        "data.root": str(SCENES),
        "data.policy": "light",
        "model.arch": "Unet",
        "model.encoder": "tu-test_resnet",
        "model.encoder_weights": "none",
    }
)

FIRST_TRIAL = {
    "model.encoder": "tu-mobilenetv3_small_050",
    "loss.name": "cross_entropy",
    "train.batch_size": 8,
    "optim.lr": 1e-3,
    "data.policy": "none",
}


def space(trial: optuna.Trial) -> None:
    """What is searched."""
    trial.suggest_categorical("model.encoder", ["tu-test_resnet", "tu-mobilenetv3_small_050"])
    trial.suggest_categorical("loss.name", ["cross_entropy", "cross_entropy+dice", "ohem"])
    trial.suggest_categorical("train.batch_size", [4, 8, 16])
    trial.suggest_float("optim.lr", 3e-4, 3e-2, log=True)
    trial.suggest_categorical("data.policy", ["none", "light", "medium"])


STUDY = Study(name="demo", base=BASE, space=space, first_trials=[FIRST_TRIAL], trials=18, epochs=9)

if __name__ == "__main__":
    if not SCENES.exists():
        print(f"drawing street scenes into {SCENES}")
        write_cityscapes(SCENES, train=300, val=60, size_px=(128, 256), seed=0)
    STUDY.main(needs_data=False)
