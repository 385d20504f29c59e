"""A study small enough for tests: two-second trials on a few tiny scenes."""

from segray import RunConfig, Sweep, main

BASE = RunConfig().with_values(
    {
        "data.dataset": "cityscapes",
        "model.encoder": "tu-test_resnet",
        "model.encoder_weights": "none",
        "loss.name": "dice",
        "train.batch_size": 4,
        "train.epochs": 3,
    }
)


def space(trial):
    trial.suggest_categorical("loss.name", ["cross_entropy", "dice"])
    trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True)


SWEEP = Sweep(name="tiny", base=BASE, space=space, recipe="tiny_recipe", trials=4)

if __name__ == "__main__":
    main(SWEEP)
