"""Search for the best way to segment CARLA's drives, from the recipe carla_unet: network, loss and its own parameters.

Command:        python sweeps/carla_search.py --data /path/to/carla
Data:           dataA/ to dataE/ of the Lyft and Udacity challenge, as published on Kaggle (5,000 frames of 800x600)
Hardware:       GPUs, one a trial unless --gpus-per-worker says otherwise; decoded shards take 5 GB on each node
Expected:       not measured: no full-size run has been made yet
"""

from __future__ import annotations

import optuna

from segray import RECIPES, Sweep, main


def space(trial: optuna.Trial) -> None:
    """Draw the values of a trial."""
    trial.suggest_int("train.epochs", 20, 100)
    trial.suggest_categorical("train.batch_size", [4, 8, 16])
    if trial.suggest_categorical("model.name", ["unet", "smp"]) == "unet":
        trial.suggest_categorical("model.unet.batch_norm", [False, True])
        trial.suggest_categorical("model.unet.width_multiplier", [0.5, 1.0])
    else:
        trial.suggest_categorical("model.arch", ["Unet", "FPN", "DeepLabV3Plus"])
        trial.suggest_categorical("model.encoder", ["resnet34", "efficientnet-b4", "tu-convnext_tiny"])
    match trial.suggest_categorical("loss.name", ["focal", "cross_entropy+dice", "focal_tversky", "boundary"]):
        case "focal":
            trial.suggest_float("loss.focal_gamma", 0.5, 4.0)
            trial.suggest_categorical("loss.focal_alpha", [0.25, 1.0, "balanced"])
        case "focal_tversky":
            trial.suggest_float("loss.tversky_beta", 0.5, 0.9)
            trial.suggest_float("loss.tversky_gamma", 1.0, 3.0)
        case "boundary":
            trial.suggest_float("loss.boundary_weight", 1.0, 10.0)
            trial.suggest_categorical("loss.boundary_kind", ["hard", "soft"])
    trial.suggest_categorical("data.policy", ["none", "light", "medium"])
    if trial.suggest_categorical("optim.name", ["adam", "adamw"]) == "adamw":
        trial.suggest_float("optim.weight_decay", 1e-5, 1e-1, log=True)
    trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True)
    trial.suggest_categorical("optim.schedule", ["constant", "cosine", "onecycle"])


SWEEP = Sweep(
    name="carla",
    base=RECIPES["carla_unet"].config,
    recipe="carla_unet",
    space=space,
    trials=50,
    repeats=3,
    confirm=3,
)

if __name__ == "__main__":
    main(SWEEP)
