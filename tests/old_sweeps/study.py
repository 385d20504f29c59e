"""The study whose sweeps lie here, with a network of a few hundred weights so that its checkpoints are small."""

from segray.config import RunConfig
from segray.tuning.command import main
from segray.tuning.sweep import Sweep

BASE = RunConfig().with_values(
    {
        "data.dataset": "cityscapes",
        "model.name": "unet",
        "model.unet.widths": [2, 4],
        "model.unet.convolutions": [1, 1],
        "model.unet.decoder_widths": [2],
        "train.batch_size": 4,
        "train.epochs": 3,
    }
)


def space(trial):
    if trial.suggest_categorical("loss.name", ["cross_entropy", "dice"]) == "dice":
        trial.suggest_float("optim.weight_decay", 1e-4, 1e-1, log=True)
    trial.suggest_float("optim.lr", 1e-3, 1e-1, log=True)
    trial.suggest_categorical("model.unet.batch_norm", [False, True])


FIRST_TRIAL = {"loss.name": "cross_entropy", "optim.lr": 1e-2, "model.unet.batch_norm": True}

SWEEP = Sweep(name="finished", base=BASE, space=space, first_trials=[FIRST_TRIAL], trials=4)

if __name__ == "__main__":
    main(SWEEP)
