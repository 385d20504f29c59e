"""Search for the best way to segment CamVid from scratch, at a reduced size, on a laptop.

Command:        python sweeps/camvid_search.py --data /path/to/camvid --trials 16 --epochs 6
Data:           train/, trainannot/, val/, valannot/ as published with SegNet (367 and 101 frames of 480x360)
Hardware:       two CPU cores; photos and labels at 160x224
Expected:       best val mIoU 53.2 % without pretrained weights (docs/benchmarks.md), measured with the search of
                --sampler tpe --scheduler asha --grace-epochs 2 --reduction-factor 2;
                the race after the search, which --repeats 0 leaves out, trains up to 12 runs more
"""

from __future__ import annotations

import optuna

from segray import RunConfig, Sweep, main

BASE = RunConfig().with_values({"data.dataset": "camvid", "data.resize_px": [160, 224], "optim.schedule": "onecycle"})

FIRST_TRIAL = {
    "model.arch": "Unet",
    "model.encoder": "resnet18",
    "loss.name": "cross_entropy",
    "loss.class_weights": "none",
    "data.policy": "light",
    "train.batch_size": 8,
    "optim.lr": 1e-3,
    "optim.weight_decay": 1e-4,
}


def space(trial: optuna.Trial) -> None:
    """Draw the values of a trial."""
    trial.suggest_categorical("model.arch", ["Unet", "FPN", "Linknet"])
    trial.suggest_categorical("model.encoder", ["resnet18", "tu-regnetx_002", "mobilenet_v2"])
    trial.suggest_categorical("loss.name", ["cross_entropy", "cross_entropy+dice", "cross_entropy+lovasz"])
    trial.suggest_categorical("loss.class_weights", ["none", "balanced"])
    trial.suggest_categorical("data.policy", ["none", "light", "medium"])
    trial.suggest_categorical("train.batch_size", [4, 8, 16])
    trial.suggest_float("optim.lr", 5e-4, 5e-3, log=True)
    trial.suggest_float("optim.weight_decay", 1e-5, 1e-1, log=True)


SWEEP = Sweep(
    name="camvid",
    base=BASE,
    space=space,
    first_trials=[FIRST_TRIAL],
    trials=16,
    epochs=6,
    repeats=3,
    confirm=3,
)

if __name__ == "__main__":
    main(SWEEP)
