"""Search for the best way to segment Cityscapes, from the recipe cityscapes_smp: epochs, batch, network, loss and more.

Command:        python sweeps/cityscapes_search.py --data /path/to/cityscapes
                ray job submit --working-dir . -- python sweeps/cityscapes_search.py \
                    --data /path/to/cityscapes --storage /path/to/runs
Data:           leftImg8bit/ and gtFine/ as https://www.cityscapes-dataset.com unpacks them
Hardware:       GPUs, one a trial unless --gpus-per-worker says otherwise; decoded shards take 29 GB on each node
Expected:       not measured: no full-size run has been made yet
"""

from __future__ import annotations

import optuna

from segray import RECIPES, Sweep, main


def space(trial: optuna.Trial) -> None:
    """Draw the values of a trial."""
    trial.suggest_int("train.epochs", 20, 120)
    trial.suggest_categorical("train.batch_size", [4, 8, 16])
    trial.suggest_categorical("train.ema_decay", [None, 0.999])
    trial.suggest_categorical("model.arch", ["DeepLabV3Plus", "Unet", "FPN", "UPerNet"])
    trial.suggest_categorical("model.encoder", ["efficientnet-b4", "resnet50", "tu-convnext_tiny"])
    losses = ["cross_entropy", "ohem", "cross_entropy+dice", "cross_entropy+lovasz"]
    if trial.suggest_categorical("loss.name", losses) == "ohem":
        trial.suggest_float("loss.ohem_fraction", 0.1, 0.7)
    trial.suggest_categorical("data.policy", ["none", "light", "medium", "strong"])
    if trial.suggest_categorical("optim.name", ["adam", "adamw"]) == "adamw":
        trial.suggest_float("optim.weight_decay", 1e-5, 1e-1, log=True)
    trial.suggest_float("optim.lr", 5e-5, 5e-3, log=True)
    trial.suggest_categorical("optim.schedule", ["cosine", "poly", "onecycle"])


SWEEP = Sweep(
    name="cityscapes",
    base=RECIPES["cityscapes_smp"].config,
    recipe="cityscapes_smp",
    space=space,
    trials=50,
    repeats=3,
    confirm=3,
)

if __name__ == "__main__":
    main(SWEEP)
