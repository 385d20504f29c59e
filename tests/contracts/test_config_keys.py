"""Every config key changes what its mark says, and nothing else."""

import shutil
from collections import defaultdict
from importlib import import_module
from typing import Literal, get_args, get_origin

import optuna
import pytest
from pydantic import Field

from segray.config import RunConfig, Section
from segray.config import keys as keys_module
from segray.config.keys import FREE_ON_RESUME, READ_LABELS, SAME_IN_ALL_TRIALS, keys_deciding, marks, without
from segray.config.mark import Decides
from segray.data.cache.fingerprint import listing
from segray.data.datasets import DATASETS
from segray.data.splits.split_record import record_splits
from segray.data.synthetic import NEEDED_VALUES, write_scenes
from segray.errors import SegrayError
from segray.tuning.preflight.parts import _check_used, check_comparable
from segray.tuning.run.resuming import _refuse_changed

OTHER_VALUES = (True, False, 1, 2, 3, 0.05, 0.3, 1.5, 0.001, [1], [0], ["none"], [32, 48], [2, 2, 1], "_a", "a/{split}")
VARIANTS = (
    *((name, {}) for name in DATASETS),
    ("folder", {"data.split.kind": "ratio"}),
    ("folder", {"data.split.kind": "kfold"}),
    ("cityscapes_pairs", {"data.pairs.labels": "kmeans"}),
)
DATA_KEYS = [key for key in marks() if key.startswith("data.")]


def field_of(key):
    section, *names = RunConfig, *key.split(".")
    for name in names:
        field = section.model_fields[name]
        section = field.annotation
    return field


def choices(annotation):
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return [choice for part in get_args(annotation) for choice in choices(part)]


def registry(key):
    module, name = marks()[key].registry.split(":")
    return list(getattr(import_module(module), name))


def other_values(config, key):
    """The config with each other value that a key can have."""
    names = registry(key) if marks()[key].registry else []
    for value in (*names, *choices(field_of(key).annotation), *OTHER_VALUES):
        try:
            changed = config.with_values({key: value})
        except SegrayError:
            continue
        if changed != config:
            yield changed


def another(key):
    return next(other_values(RunConfig(), key))


@pytest.mark.parametrize("key", marks())
def test_every_key_has_another_value(key):
    assert another(key).flat()[key] != RunConfig().flat()[key]


def test_a_field_without_a_mark_is_refused():
    class Unmarked(Section):
        width: int = Field(default=3)

    with pytest.raises(TypeError, match=r"Unmarked\.width needs a Mark"):
        list(keys_module._marks(Unmarked, "", None))


@pytest.mark.parametrize("key", [key for key, mark in marks().items() if mark.registry])
def test_a_help_text_lists_the_choices_of_its_registry(key):
    listed = field_of(key).description.rpartition(": ")[2].replace("\n", " ").split(",")
    names = sorted(registry(key))
    assert sorted(name.strip() for name in listed) == names, f"the help of {key} must end with ': ' and these {names}"


def reads(data):
    """What this machine makes of a data set: an entry of the cache, splits, and labels by the choice of them."""
    try:
        found = {"entry": listing(data).folder_name}
    except SegrayError as error:
        return {"entry": str(error)}
    try:
        record = record_splits(data)
    except SegrayError as error:
        return found | {"splits": str(error)}
    splits = {split: tuple(getattr(record, split)) for split in ("train", "val", "test")}
    return found | {"splits": splits, "labels": tuple(record.labels)}


@pytest.fixture(scope="module")
def changes(tmp_path_factory):
    """Key -> all that another value of it changes, over all data sets and ways to divide them."""
    found = defaultdict(set)
    roots = {}
    for name, values in VARIANTS:
        if name not in roots:
            roots[name] = tmp_path_factory.mktemp(name) / "data"
            write_scenes(name, roots[name], train=6, val=4, size_px=(32, 48))
        moved = shutil.copytree(roots[name], tmp_path_factory.mktemp("moved") / "data")
        place = {"data.dataset": name, "data.root": str(roots[name]), "data.cache_dir": str(moved.parent / "cache")}
        config = RunConfig().with_values(place | NEEDED_VALUES.get(name, {}) | values)
        before = reads(config.data)
        assert "labels" in before, before
        image = next(iter(before["splits"]["train"]))
        own_values = {"data.root": str(moved), "data.cache_dir": f"{moved.parent}/other", "data.exclude": [image]}
        for key in DATA_KEYS:
            given = key in own_values
            others = [config.with_values({key: own_values[key]})] if given else other_values(config, key)
            for other in others:
                after = reads(other.data)
                found[key] |= {what for what in after if after[what] != before[what]}
    return found


@pytest.mark.parametrize("key", DATA_KEYS)
def test_a_key_changes_the_cache_the_splits_and_the_labels_that_its_mark_says(changes, key):
    decides = marks()[key].decides
    may = {
        Decides.IMAGES: {"entry", "splits"},
        Decides.LABELS: {"entry", "splits", "labels"},
        Decides.TARGETS: {"entry", "labels"},
        Decides.SPLITS: {"splits"},
    }.get(decides, set())
    must = {
        Decides.IMAGES: {"entry"},
        Decides.LABELS: {"entry", "labels"},
        Decides.TARGETS: {"entry", "labels"},
        Decides.SPLITS: {"splits"},
    }.get(decides, set())
    assert must <= changes[key] <= may


def is_refused(check, *arguments):
    try:
        check(*arguments)
    except SegrayError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("key", marks())
def test_a_resume_refuses_a_changed_key_unless_it_says_where_a_sweep_runs(key):
    message = is_refused(_refuse_changed, RunConfig().flat(), another(key).flat())
    assert (f"{key}: was" in message) == (marks()[key].decides not in FREE_ON_RESUME)


@pytest.mark.parametrize("key", marks())
def test_a_search_is_refused_of_what_trials_must_share(key):
    message = is_refused(check_comparable, RunConfig(), [another(key)])
    assert (key in message) == (marks()[key].decides in SAME_IN_ALL_TRIALS)


@pytest.mark.parametrize("key", marks())
def test_a_search_is_refused_of_what_means_nothing_in_any_trial(key):
    distribution = optuna.distributions.CategoricalDistribution([1, 2])
    message = is_refused(_check_used, [RunConfig()], {key: distribution})
    unmet = [use for use in marks()[key].uses if not use.is_met(RunConfig().flat())]
    assert (key in message) == bool(unmet)
    for use in unmet:
        assert use.key in marks()
        assert is_refused(_check_used, [RunConfig()], {key: distribution}).startswith(f"{unmet[0].key} {unmet[0].rule}")


@pytest.mark.parametrize("key", DATA_KEYS)
def test_a_key_is_left_out_by_what_it_decides_alone(key):
    changed = another(key).data
    for decision in Decides:
        assert (without(changed, decision) == RunConfig().data) == (decision == marks()[key].decides)


def test_keys_that_read_labels_are_all_of_section_data():
    assert all(key.startswith("data.") for key in keys_deciding(*READ_LABELS))
