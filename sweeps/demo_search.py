"""Search on drawn street scenes: a first look at segray that needs no download and no GPU.

Command:        make demo, or python sweeps/demo_search.py
Data:           drawn on the first run into data/synthetic (240 training and 60 validation scenes of 96x192)
Hardware:       two CPU cores
Expected:       4 min, best val mIoU 63.1 % (docs/benchmarks.md), measured with the search of
                --sampler tpe --scheduler asha --grace-epochs 1; --confirm 3 adds a race of up to 20 more runs
"""

from __future__ import annotations

from pathlib import Path

import optuna

from segray import RunConfig, Sweep, main
from segray.data.synthetic import write_scenes

SCENES = Path("data/synthetic")

BASE = RunConfig().with_values(
    {
        "data.dataset": "cityscapes",
        "data.root": str(SCENES),
        "model.encoder_weights": "none",
        "loss.class_weights": "balanced",
    }
)

FIRST_TRIAL = {
    "model.arch": "Unet",
    "model.encoder": "tu-mobilenetv3_small_050",
    "loss.name": "cross_entropy",
    "data.policy": "light",
    "train.batch_size": 8,
    "optim.lr": 1e-3,
}


def space(trial: optuna.Trial) -> None:
    """Draw the values of a trial."""
    trial.suggest_categorical("model.arch", ["Unet", "Linknet"])
    trial.suggest_categorical("model.encoder", ["tu-regnetx_002", "tu-mobilenetv3_small_050"])
    trial.suggest_categorical("loss.name", ["cross_entropy", "cross_entropy+dice", "cross_entropy+lovasz"])
    trial.suggest_categorical("data.policy", ["none", "light"])
    trial.suggest_categorical("train.batch_size", [4, 8])
    trial.suggest_float("optim.lr", 1e-3, 1e-2, log=True)


SWEEP = Sweep(name="demo", base=BASE, space=space, first_trials=[FIRST_TRIAL], trials=16, epochs=5)


def draw_scenes() -> None:
    """Draw the data set, once."""
    if not SCENES.exists():
        print(f"drawing street scenes into {SCENES}", flush=True)
        write_scenes("cityscapes", SCENES, train=240, val=60, size_px=(96, 192), seed=0)


if __name__ == "__main__":
    main(SWEEP, make_data=draw_scenes)
