"""The trial that is planned from image sizes and memory."""

from types import SimpleNamespace

import numpy as np
import pytest
from every_model import UNET_CONFIGS

from segray.config import RunConfig
from segray.engine.footprint import footprint
from segray.tuning.freeze_thaw.belief import Belief
from segray.tuning.preflight.drawn import Drawn
from segray.tuning.preflight.first_trial import FILLED, plan_trial
from segray.tuning.space import SearchedSpace

BASE = RunConfig(model=UNET_CONFIGS[1]).with_values({"train.precision": "float32"})
FIRST = {
    "optim.lr": 3e-3,
    "data.crop_px": [256, 512],
    "train.batch_size": 2,
    "train.epochs": 20,
}


def space(trial):
    trial.suggest_float("optim.lr", 1e-3, 1e-2, log=True)
    trial.suggest_categorical("data.crop_px", [[512, 1024], [256, 512], [1024, 2048], [2048, 4096]])
    trial.suggest_categorical("train.batch_size", [2, 8, 4, 16])
    trial.suggest_int("train.epochs", 10, 120, step=2)


class Images(SimpleNamespace):
    def __len__(self):
        return len(self.sizes)


@pytest.fixture
def plan():
    def planned(space=space, first=FIRST, *, images=2975, size_px=(1024, 2048), worker_bytes=None):
        shard = Images(sizes=np.array([size_px] * images), common_size=size_px)
        data = SimpleNamespace(train=shard, label_space=SimpleNamespace(num_classes=19))
        searched = SearchedSpace({}, frozenset())
        drawn = Drawn(BASE, space, searched, [first] if first else [], Belief(), max_epochs=120, configs=[])
        return plan_trial(drawn, data, num_workers=1, worker_bytes=worker_bytes, on_gpu=False)

    return planned


def needed(size_px, num_images):
    """The memory at which so many images fit exactly."""
    return int(footprint(BASE, 19, size_px).whole(num_images) / FILLED) + 1


def test_the_crop_is_the_largest_that_leaves_room_for_two_and_the_batch_fills_the_rest(plan):
    trial = plan(worker_bytes=needed((512, 1024), 4))
    # 743 steps an epoch: 53.8 epochs make 40,000 steps.
    wanted = {"optim.lr": 3e-3, "data.crop_px": [512, 1024], "train.batch_size": 4, "train.epochs": 54}
    assert trial.values == wanted
    assert "data.crop_px 512×1024 (images have 1024×2048), train.batch_size 4 (at least" in trial.line
    assert "train.epochs 54 (40122 steps)" in trial.line
    larger = plan(worker_bytes=needed((1024, 2048), 2)).values
    assert (larger["data.crop_px"], larger["train.batch_size"]) == ([1024, 2048], 2)
    smallest = plan(worker_bytes=0, first={**FIRST, "data.crop_px": [512, 1024]}).values
    assert (smallest["data.crop_px"], smallest["train.batch_size"]) == ([256, 512], 2)


def test_a_batch_holds_at_most_a_twentieth_of_small_data(plan):
    trial = plan(worker_bytes=10**12, images=60, first={**FIRST, "train.batch_size": 16})
    # Three of 60 whole images.
    assert trial.values == {**FIRST, "data.crop_px": [1024, 2048], "train.batch_size": 2, "train.epochs": 120}


def test_without_known_memory_the_data_alone_decide(plan):
    trial = plan(first={**FIRST, "train.batch_size": 8})
    assert (trial.values["data.crop_px"], trial.values["train.batch_size"]) == ([1024, 2048], 8)
    assert "memory is not known" in trial.line


def test_a_study_without_first_trials_gets_the_planned_keys_and_samples_the_others(plan):
    assert plan(first=None).values.keys() == {"data.crop_px", "train.batch_size", "train.epochs"}
    same = plan(lambda trial: trial.suggest_categorical("train.batch_size", [2, 4]) and None, None, images=60)
    assert same.values == {"train.batch_size": 2}
    assert same.line == "planned trial: train.batch_size 2 (memory is not known); other keys are sampled"


def test_depth_follows_the_crop_where_the_model_has_it(plan):
    def generators(trial):
        name = trial.suggest_categorical("model.name", ["unet", "pix2pix"])
        if name == "pix2pix":
            trial.suggest_int("model.generator.depth", 2, 9)
        return {"data.crop_px": [128, 256]}

    deep = plan(generators, {"model.name": "pix2pix", "model.generator.depth": 2})
    # 128 px halved five times leave 4.
    assert deep.values["model.generator.depth"] == 5
    assert plan(generators, {"model.name": "unet"}) is None
