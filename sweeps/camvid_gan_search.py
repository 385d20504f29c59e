"""Search how a pix2pix generator learns CamVid best against a discriminator, from scratch, on a laptop.

Command:        python sweeps/camvid_gan_search.py --data /path/to/camvid --minutes 25
Data:           train/, trainannot/, val/, valannot/ as published with SegNet (367 and 101 frames of 480x360)
Hardware:       two CPU cores; photos and labels at 160x224
Expected:       docs/benchmarks.md, measured with the search of
                --sampler tpe --scheduler asha --grace-epochs 2 --reduction-factor 2;
                the race after the search, which --repeats 0 leaves out, trains up to 12 runs more
"""

from __future__ import annotations

import optuna

from segray import RunConfig, Sweep, main

BASE = RunConfig().with_values(
    {
        "data.dataset": "camvid",
        "data.resize_px": [160, 224],
        "model.name": "pix2pix",
        "model.generator.depth": 5,
        "gan.discriminator": "patchgan",
        "gan.width": 16,
        "optim.name": "adam",
        "optim.weight_decay": 0.0,
        "optim.beta1": 0.5,
        "optim.schedule": "linear",
        "gan.optim.schedule": "linear",
    }
)

FIRST_TRIAL = {
    "model.generator.width": 32,
    "gan.discriminator": "patchgan",
    "gan.loss": "bce",
    "gan.adversarial_weight": 0.1,
    "gan.l1_weight": 0.1,
    "gan.gradient_weight": 0.0,
    "gan.optim.lr": 2e-4,
    "loss.class_weights": "none",
    "train.batch_size": 4,
    "optim.lr": 2e-3,
}


def space(trial: optuna.Trial) -> None:
    """Draw the values of a trial."""
    trial.suggest_categorical("model.generator.width", [16, 32])
    trial.suggest_categorical("gan.discriminator", ["patchgan", "semantic"])
    trial.suggest_categorical("gan.loss", ["bce", "lsgan", "hinge"])
    trial.suggest_float("gan.adversarial_weight", 0.01, 1.0, log=True)
    trial.suggest_float("gan.l1_weight", 0.1, 10.0, log=True)
    if trial.suggest_categorical("gan.gradient_weight", [0.0, 1.0]) > 0:
        trial.suggest_categorical("gan.gradient_kind", ["hard", "soft"])
    trial.suggest_float("gan.optim.lr", 5e-5, 1e-3, log=True)
    trial.suggest_categorical("loss.class_weights", ["none", "balanced"])
    trial.suggest_categorical("train.batch_size", [2, 4, 8])
    trial.suggest_float("optim.lr", 5e-4, 5e-3, log=True)


SWEEP = Sweep(
    name="camvid_gan",
    base=BASE,
    space=space,
    first_trials=[FIRST_TRIAL],
    trials=16,
    epochs=8,
    repeats=3,
    confirm=3,
)

if __name__ == "__main__":
    main(SWEEP)
