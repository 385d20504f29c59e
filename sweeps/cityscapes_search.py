"""Search for the best way to segment Cityscapes: epochs, batch, encoder, architecture, loss, augmentation, optimiser.

Command:        python sweeps/cityscapes_search.py --data /path/to/cityscapes
                ray job submit --working-dir . -- python sweeps/cityscapes_search.py \
                    --data /path/to/cityscapes --storage /path/to/runs
Data:           leftImg8bit/ and gtFine/ as https://www.cityscapes-dataset.com unpacks them
Hardware:       GPUs, one a trial unless --gpus-per-worker says otherwise; decoded shards take 29 GB on each node
Expected:       not measured: no full-size run has been made yet
"""

from __future__ import annotations

import optuna

from segray.config import RunConfig
from segray.tuning.command import main
from segray.tuning.sweep import Sweep

BASE = RunConfig().with_values(
    {
        "data.dataset": "cityscapes",
        "data.crop_px": [512, 1024],
        "train.ema_decay": 0.999,
        "optim.schedule": "poly",
        "optim.warmup_epochs": 0.5,
        "optim.grad_clip": 5.0,
    }
)

FIRST_TRIAL = {
    "train.epochs": 60,
    "train.batch_size": 8,
    "model.arch": "DeepLabV3Plus",
    "model.encoder": "resnet50",
    "loss.name": "cross_entropy",
    "data.policy": "medium",
    "optim.lr": 5e-4,
    "optim.weight_decay": 1e-2,
}


def space(trial: optuna.Trial) -> None:
    """What is searched."""
    trial.suggest_int("train.epochs", 20, 120)
    trial.suggest_categorical("train.batch_size", [4, 8, 16])
    trial.suggest_categorical("model.arch", ["Unet", "FPN", "DeepLabV3Plus", "UPerNet"])
    trial.suggest_categorical("model.encoder", ["resnet50", "efficientnet-b4", "tu-convnext_tiny"])
    trial.suggest_categorical("loss.name", ["cross_entropy", "ohem", "cross_entropy+dice", "cross_entropy+lovasz"])
    trial.suggest_categorical("data.policy", ["light", "medium", "strong"])
    trial.suggest_float("optim.lr", 5e-5, 5e-3, log=True)
    trial.suggest_float("optim.weight_decay", 1e-5, 1e-1, log=True)


SWEEP = Sweep(name="cityscapes", base=BASE, space=space, first_trials=[FIRST_TRIAL], trials=50, grace_epochs=8)

if __name__ == "__main__":
    main(SWEEP)
