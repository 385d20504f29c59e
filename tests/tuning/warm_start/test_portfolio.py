"""The portfolio's configs are real, have the sources that they name, and become first trials where they fit."""

import csv
import importlib
from collections import defaultdict
from pathlib import Path
from statistics import mean

import pytest

from segray.config import RunConfig
from segray.errors import ConfigError
from segray.tuning.points import Point, draw_point, first_of
from segray.tuning.preflight import Checked, check_choices
from segray.tuning.preflight.samples import draw_samples
from segray.tuning.sweep import Sweep
from segray.tuning.warm_start.portfolio import PORTFOLIO, PORTFOLIO_NAME
from segray.tuning.warm_start.taking import warm_start

ROOT = Path(__file__).parents[3]
STUDIES = {
    "camvid_search": ["camvid_lovasz"],
    # The other one is the study's own second trial.
    "camvid_recipe_search": ["camvid_lovasz"],
    "carla_search": ["camvid_lovasz", "camvid_adam", "unet_focal"],
    "cityscapes_pairs_search": ["camvid_lovasz", "camvid_adam"],
    "cityscapes_search": ["camvid_lovasz", "camvid_adam"],
    "demo_search": ["camvid_lovasz"],
    "kitti_road_search": ["camvid_lovasz", "camvid_adam"],
}
"""Study -> the configs that fit it."""


def taken(base, space, first_trials=()):
    sweep = Sweep(name="new", base=base, space=space, trials=9, warm_start=(PORTFOLIO_NAME,))
    samples = draw_samples(space)
    return warm_start(sweep, Checked(base, space, samples.space.distributions, first_trials, {}, 9, None, {}, ""))


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_gets_the_configs_that_its_space_holds(name):
    study = importlib.import_module(f"sweeps.{name}").SWEEP
    warm = taken(study.base, study.space, study.first_trials)
    assert warm.curves == ()
    fitting = {config.name: config.values for config in PORTFOLIO if config.name in STUDIES[name]}
    assert [f"{len(fitting)} of {len(PORTFOLIO)} configs" in line for line in warm.summary] == [True]
    for values, first in zip(fitting.values(), warm.first_trials, strict=True):
        assert draw_point(study.space, Point(first, first_of)).drawn == first, "it is a point of the space"
        kept = {key: value for key, value in values.items() if first.get(key) == value}
        assert {"optim.lr", "optim.schedule"} & first.keys() <= kept.keys()


def test_what_a_config_leaves_open_is_as_in_the_baseline():
    study = importlib.import_module("sweeps.camvid_search").SWEEP
    [first] = taken(study.base, study.space, [{**study.first_trials[0], "optim.weight_decay": 3e-3}]).first_trials
    assert first == {
        "model.arch": "FPN",
        "model.encoder": "resnet18",
        "loss.name": "cross_entropy+lovasz",
        "loss.class_weights": "balanced",
        "data.policy": "none",
        "train.batch_size": 4,
        "optim.lr": 1.78e-3,
        "optim.weight_decay": 3e-3,
    }


def every_choice(trial):
    for key in ("model.name", "model.arch", "model.encoder", "optim.name", "optim.schedule", "loss.name"):
        trial.suggest_categorical(key, list(dict.fromkeys(c.values[key] for c in PORTFOLIO if key in c.values)))
    trial.suggest_float("optim.lr", 1e-6, 1.0, log=True)


def test_every_config_fits_where_its_choices_are_and_says_what_it_left():
    warm = taken(RunConfig(), every_choice)
    assert len(warm.first_trials) == len(PORTFOLIO)
    assert warm.summary == (
        f"warm start: {len(PORTFOLIO)} of {len(PORTFOLIO)} configs of the portfolio become first trials",
    )
    again = taken(RunConfig(), every_choice, [warm.first_trials[0]])
    assert len(again.first_trials) == len(PORTFOLIO) - 1
    assert again.summary[0].endswith("left out: camvid_lovasz (its values here are those of another first trial)")


def test_a_sweep_that_no_config_fits_is_refused():
    study = importlib.import_module("sweeps.camvid_gan_search").SWEEP
    with pytest.raises(
        ConfigError, match=r"portfolio has no config .*: camvid_lovasz \(no trial has model\.name smp\)"
    ):
        taken(study.base, study.space)
    with pytest.raises(ConfigError, match=r"segformer \(no trial has optim\.lr 6e-05\)"):
        taken(RunConfig(), lambda trial: trial.suggest_categorical("train.ema_decay", [None, 0.9]) and None)


@pytest.mark.parametrize("config", PORTFOLIO, ids=lambda config: config.name)
def test_a_config_can_be_trained_and_has_a_source_and_a_row(config):
    assert f"\n| `{config.name}` |" in (ROOT / "docs/search.md").read_text()
    check_choices(RunConfig().with_values({**config.values, "model.encoder_weights": "none"}))
    assert set(config.needs) <= config.values.keys()
    for path in [word.rstrip(",:") for word in config.source.split() if word.startswith(("docs/", "benchmarks/"))]:
        assert (ROOT / path).exists()


@pytest.mark.parametrize(("name", "places"), [("unet_dice", (2, 3)), ("unet_focal", (1, 6))])
def test_places_in_the_tables_are_those_of_the_source(name, places):
    config = next(config for config in PORTFOLIO if config.name == name)
    assert (
        tuple(place_in(ROOT / "benchmarks/tables" / f"{table}.csv", config.values) for table in ("camvid", "scenes"))
        == places
    )
    assert f"number {places[0]} of 360" in config.source
    assert f"{places[1]} on scenes.csv" in config.source


def place_in(path, values):
    """The place of a config by the mean over seeds of the best epoch."""
    best = defaultdict(lambda: defaultdict(float))
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            scores, score = best[tuple(row[key] for key in list(row)[:-4])], float(row["score"])
            scores[row["seed"]] = max(scores[row["seed"]], score)
        keys = list(row)[:-4]
    ranked = sorted(best, key=lambda point: -mean(best[point].values()))
    return ranked.index(tuple(str(values.get(key, "")) for key in keys)) + 1
