"""Search on CamVid over networks whose encoders are pretrained EfficientNet-Lites, at a reduced size, on a laptop.

Command:        python sweeps/camvid_pretrained_search.py --data /path/to/camvid --encoder-weights /path/to/weights
Data:           train/, trainannot/, val/, valannot/ as published with SegNet (367 and 101 frames of 480x360)
Weights:        from the Hugging Face hub, or a folder that segray weights has filled (docs/models.md)
Hardware:       two CPU cores; photos and labels at 160x224
Expected:       not measured yet; a measured run will be in docs/benchmarks.md
"""

from __future__ import annotations

from typing import Any, Final

import optuna

from segray import RunConfig, Sweep, main

BASE = RunConfig().with_values(
    {
        "data.dataset": "camvid",
        "data.resize_px": [160, 224],
        "model.encoder_weights": "imagenet",
        "optim.schedule": "onecycle",
    }
)

CROPS_PX: Final[list[Any]] = [None, (128, 160)]
"""Sizes of training crops; None is the whole image. Validation sees whole images."""

FIRST_TRIAL = {
    "model.arch": "Unet",
    "model.encoder": "tu-tf_efficientnet_lite0",
    "loss.name": "cross_entropy+dice",
    "loss.class_weights": "none",
    "data.crop_px": None,
    "data.policy": "light",
    "train.batch_size": 8,
    "optim.lr": 2e-3,
    "optim.weight_decay": 1e-4,
}


def space(trial: optuna.Trial) -> None:
    """Draw the values of a trial."""
    trial.suggest_categorical("model.arch", ["Unet", "FPN", "Linknet", "DeepLabV3Plus"])
    trial.suggest_categorical("model.encoder", [f"tu-tf_efficientnet_lite{size}" for size in range(3)])
    trial.suggest_categorical("loss.name", ["cross_entropy+dice", "cross_entropy", "cross_entropy+lovasz"])
    trial.suggest_categorical("loss.class_weights", ["none", "balanced"])
    trial.suggest_categorical("data.crop_px", CROPS_PX)
    trial.suggest_categorical("data.policy", ["light", "none", "medium"])
    trial.suggest_categorical("train.batch_size", [8, 4, 16])
    trial.suggest_float("optim.lr", 5e-4, 1e-2, log=True)
    trial.suggest_float("optim.weight_decay", 1e-5, 1e-1, log=True)


SWEEP = Sweep(
    name="camvid_pretrained",
    base=BASE,
    space=space,
    first_trials=[FIRST_TRIAL],
    trials=24,
    epochs=8,
    repeats=3,
    confirm=3,
)

if __name__ == "__main__":
    main(SWEEP)
