"""Search for the best way to find the road in KITTI's photos, from the recipe kitti_fcn8s.

Command:        python sweeps/kitti_road_search.py --data /path/to/data_road
Data:           training/ of https://www.cvlibs.net/datasets/kitti/eval_road.php (289 labelled photos)
Hardware:       a GPU a trial unless --gpus-per-worker says otherwise
Expected:       not measured: no full-size run has been made yet
"""

from __future__ import annotations

from collections.abc import Mapping

import optuna

from segray import RECIPES, Sweep, main


def space(trial: optuna.Trial) -> Mapping[str, object] | None:
    """Draw the values of a trial."""
    trial.suggest_int("train.epochs", 10, 100)
    trial.suggest_categorical("train.batch_size", [4, 5, 10])
    if trial.suggest_categorical("model.name", ["fcn8s", "smp"]) == "fcn8s":
        trial.suggest_categorical("model.fcn.output_stride", [8, 16])
        trial.suggest_float("model.fcn.dropout", 0.0, 0.7)
    else:
        trial.suggest_categorical("model.arch", ["Unet", "FPN", "DeepLabV3Plus"])
        trial.suggest_categorical("model.encoder", ["resnet34", "efficientnet-b4", "tu-convnext_tiny"])
    trial.suggest_categorical("loss.name", ["cross_entropy", "cross_entropy+dice", "cross_entropy+lovasz"])
    trial.suggest_categorical("data.policy", ["none", "light", "medium"])
    trial.suggest_float("optim.lr", 5e-5, 5e-3, log=True)
    trial.suggest_categorical("optim.schedule", ["constant", "cosine", "onecycle"])
    if trial.suggest_categorical("optim.name", ["adam", "adamw"]) == "adam":
        trial.suggest_categorical("optim.l2", [0.0, 5e-4, 5e-3])
        return None
    trial.suggest_float("optim.weight_decay", 1e-5, 1e-1, log=True)
    return {"optim.l2": 0.0}


SWEEP = Sweep(
    name="kitti_road",
    base=RECIPES["kitti_fcn8s"].config,
    recipe="kitti_fcn8s",
    space=space,
    trials=50,
    repeats=3,
    confirm=3,
)

if __name__ == "__main__":
    main(SWEEP)
