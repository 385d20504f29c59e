"""Search for the best way to segment Cityscapes' image pairs, from the recipe pairs_kmeans: K of K-Means too.

Command:        python sweeps/cityscapes_pairs_search.py --data /path/to/cityscapes_pairs
Data:           train/ and val/ as published on Kaggle (3,475 JPEGs of 512x256, photo and coloured label side by side)
Hardware:       a GPU a trial unless --gpus-per-worker says otherwise; decoded shards take 1.1 GB for each K
Expected:       not measured: no full-size run has been made yet
"""

from __future__ import annotations

import optuna

from segray import RECIPES, Sweep, main


def space(trial: optuna.Trial) -> None:
    """Draw the values of a trial."""
    trial.suggest_categorical("data.pairs.num_clusters", [8, 10, 14])
    trial.suggest_int("train.epochs", 10, 100)
    trial.suggest_categorical("train.batch_size", [8, 16, 32])
    trial.suggest_categorical("model.arch", ["Unet", "FPN", "DeepLabV3Plus"])
    trial.suggest_categorical("model.encoder", ["resnet34", "efficientnet-b4", "tu-convnext_tiny"])
    trial.suggest_categorical("loss.name", ["cross_entropy", "cross_entropy+dice", "cross_entropy+lovasz"])
    trial.suggest_categorical("data.policy", ["none", "light", "medium"])
    if trial.suggest_categorical("optim.name", ["adam", "adamw"]) == "adamw":
        trial.suggest_float("optim.weight_decay", 1e-5, 1e-1, log=True)
    trial.suggest_float("optim.lr", 1e-4, 2e-2, log=True)
    trial.suggest_categorical("optim.schedule", ["constant", "cosine", "onecycle"])


SWEEP = Sweep(
    name="cityscapes_pairs",
    base=RECIPES["pairs_kmeans"].config,
    recipe="pairs_kmeans",
    space=space,
    trials=50,
    repeats=3,
    confirm=3,
)

if __name__ == "__main__":
    main(SWEEP)
