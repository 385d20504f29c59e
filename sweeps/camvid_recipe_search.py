"""Search on CamVid against the recipe cityscapes_smp, from scratch; only the crop of the recipe is fitted.

Command:        python sweeps/camvid_recipe_search.py --data /path/to/camvid --minutes 25 --encoder-weights none
Data:           train/, trainannot/, val/, valannot/ as published with SegNet (367 and 101 frames of 480x360)
Hardware:       two CPU cores; one worker a trial, as batches begin at 2
Expected:       docs/benchmarks.md, measured with the search of --sampler tpe --scheduler asha --grace-epochs 1;
                the recipe's network takes 11 min an epoch on one core, small ones one to two
"""

from __future__ import annotations

import optuna

from segray import RECIPES, Sweep, main

BASE = RECIPES["cityscapes_smp"].config.with_values({"data.dataset": "camvid", "data.crop_px": [360, 480]})

QUICK_TRIAL = {
    "train.batch_size": 2,
    "model.arch": "FPN",
    "model.encoder": "resnet18",
    "loss.name": "cross_entropy",
    "loss.class_weights": "none",
    "data.policy": "none",
    "optim.name": "adam",
    "optim.lr": 1e-3,
    "optim.schedule": "onecycle",
}
"""The second trial: a small network that takes four times as many steps an epoch."""


def space(trial: optuna.Trial) -> None:
    """Draw the values of a trial."""
    trial.suggest_categorical("train.batch_size", [2, 4, 8])
    trial.suggest_categorical("model.arch", ["DeepLabV3Plus", "FPN", "Linknet", "Unet"])
    trial.suggest_categorical("model.encoder", ["efficientnet-b4", "resnet18", "tu-regnetx_002", "mobilenet_v2"])
    trial.suggest_categorical("loss.name", ["cross_entropy", "cross_entropy+dice", "cross_entropy+lovasz"])
    trial.suggest_categorical("loss.class_weights", ["none", "balanced"])
    trial.suggest_categorical("data.policy", ["none", "light"])
    if trial.suggest_categorical("optim.name", ["adam", "adamw"]) == "adamw":
        trial.suggest_float("optim.weight_decay", 1e-5, 1e-1, log=True)
    trial.suggest_float("optim.lr", 3e-4, 5e-3, log=True)
    trial.suggest_categorical("optim.schedule", ["cosine", "onecycle"])


SWEEP = Sweep(
    name="camvid_recipe",
    base=BASE,
    recipe="cityscapes_smp",
    space=space,
    first_trials=[QUICK_TRIAL],
    trials=50,
    epochs=3,
    repeats=3,
    confirm=3,
)

if __name__ == "__main__":
    main(SWEEP)
