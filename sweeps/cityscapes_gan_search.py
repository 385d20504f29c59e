"""Search generators, discriminators and the weights of their losses, from the recipes sggan and sggan_pix2pix.

Command:        python sweeps/cityscapes_gan_search.py --data /path/to/sample
Data:           trainA/, trainA_seg_class/, testA/, ... as `segray data sample` draws them from Cityscapes
Hardware:       GPUs, one a trial unless --gpus-per-worker says otherwise; one worker a trial, as batches begin at 1
Expected:       not measured: no full-size run has been made yet
"""

from __future__ import annotations

import optuna

from segray import RECIPES, Sweep, main

PIX2PIX = {
    "train.epochs": 100,
    "train.batch_size": 1,
    "model.name": "pix2pix",
    "model.output": "rgb",
    "gan.discriminator": "patchgan",
    "gan.conditioned": True,
    "gan.norm": "batch",
    "gan.spectral_norm": False,
    "gan.loss": "bce",
    "gan.l1_weight": 100.0,
    "gan.segmentation_weight": 0.0,
    "gan.gradient_weight": 0.0,
    "gan.pool_size": 0,
    "gan.r1_weight": 0.0,
    "gan.optim.lr": 2e-4,
    "optim.lr": 2e-4,
}
"""The second trial: the recipe sggan_pix2pix in the keys of this space."""


def space(trial: optuna.Trial) -> None:
    """Draw the values of a trial."""
    trial.suggest_int("train.epochs", 20, 100)
    trial.suggest_categorical("train.batch_size", [1, 4, 8])
    trial.suggest_categorical("model.name", ["unet_instance_norm", "pix2pix", "resnet"])
    trial.suggest_categorical("model.output", ["rgb", "logits"])
    if trial.suggest_categorical("gan.discriminator", ["semantic", "patchgan"]) == "patchgan":
        trial.suggest_categorical("gan.conditioned", [False, True])
    trial.suggest_categorical("gan.norm", ["instance", "batch"])
    trial.suggest_categorical("gan.spectral_norm", [False, True])
    trial.suggest_categorical("gan.loss", ["lsgan", "bce", "hinge"])
    trial.suggest_float("gan.l1_weight", 1.0, 100.0, log=True)
    trial.suggest_categorical("gan.segmentation_weight", [0.0, 1.0, 10.0])
    if trial.suggest_categorical("gan.gradient_weight", [0.0, 5.0]) > 0:
        trial.suggest_categorical("gan.gradient_kind", ["hard", "soft"])
    trial.suggest_categorical("gan.pool_size", [0, 50])
    trial.suggest_categorical("gan.r1_weight", [0.0, 1.0])
    trial.suggest_float("gan.optim.lr", 5e-5, 1e-3, log=True)
    trial.suggest_float("optim.lr", 5e-5, 2e-3, log=True)


SWEEP = Sweep(
    name="cityscapes_gan",
    base=RECIPES["sggan"].config,
    recipe="sggan",
    space=space,
    first_trials=[PIX2PIX],
    trials=50,
    repeats=3,
    confirm=3,
)

if __name__ == "__main__":
    main(SWEEP)
