"""Tables of trainings and their replay: right by hand on small tables, and clear about tables that cannot be used."""

import sys
from pathlib import Path

import numpy as np
import optuna
import pytest

from segray.errors import DataError

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from search_quality import BUDGETS, TABLES, Replay, judge, search
from search_strategies import STRATEGIES, Begun
from training_table import read_table

HEADER = "lr,loss,gamma,seed,epoch,score,seconds"


def rows(lr, loss, gamma, scores, seed=0, seconds=1.0):
    return [f"{lr},{loss},{gamma},{seed},{epoch},{score},{seconds}" for epoch, score in enumerate(scores, 1)]


def write(path, *lines, header=HEADER):
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


@pytest.fixture
def table(tmp_path):
    """A table of 24 configs; the key gamma belongs to the loss focal alone, and the longer a training, the better."""
    lines = []
    for number, lr in enumerate((1e-4, 1e-3, 1e-2, 1e-1)):
        for loss, gamma in (("dice", ""), ("lovasz", ""), ("focal", 1), ("focal", 2), ("focal", 3), ("focal", 4)):
            end = 0.3 + 0.1 * number + 0.02 * float(gamma or 0)
            for seed in range(2):
                lines += rows(lr, loss, gamma, [end * share + 0.001 * seed for share in (0.4, 0.7, 1)], seed)
    return read_table(write(tmp_path / "table.csv", *lines))


def test_a_table_has_the_space_of_its_columns(table):
    assert [(c.name, c.is_number, c.parent) for c in table.columns] == [
        ("lr", True, ""),
        ("loss", False, ""),
        ("gamma", True, "loss"),
    ]
    assert (len(table.configs), table.max_epochs) == (24, 3)
    assert {len(curves) for curves in table.curves} == {2}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(60):
        trial = study.ask()
        config = dict(zip(("lr", "loss", "gamma"), table.configs[table.space(trial)["config"]], strict=True))
        assert ("gamma" in trial.params) == (config["loss"] == "focal") == (config["gamma"] is not None)
        assert config["lr"] == table.columns[0].values[trial.params["lr"]]


def test_values_between_the_rows_take_the_nearest_config(tmp_path):
    lines = [line for number in range(1, 20) for line in rows(number / 10, "dice", "", [0.1 * number])]
    table = read_table(write(tmp_path / "t.csv", *lines, *rows(0.5, "focal", 2, [0.9]), *rows(1.5, "focal", 2, [0.8])))
    assert not table.columns[0].is_grid
    assert table.configs[table.nearest({"lr": 0.52, "loss": "dice"})] == (0.5, "dice", None)
    assert table.configs[table.nearest({"lr": 1.3, "loss": "focal", "gamma": 2.0})] == (1.5, "focal", 2.0)


def test_a_column_of_epochs_says_how_long_a_training_should_be(tmp_path):
    lines = [*rows(2, "dice", 1, [0.1, 0.2]), *rows(3, "dice", 1, [0.1, 0.2, 0.3]), *rows(3, "lovasz", 1, [0.1])]
    table = read_table(write(tmp_path / "t.csv", *lines, header=HEADER.replace("lr", "train.epochs")))
    assert [table.num_epochs(config) for config in range(3)] == [2, 3, 3]
    assert sorted(table.finals()) == [0.2, 0.3]  # the third one diverged after an epoch


class Scripted:
    """Trains given configs one after another, and stops each one after some epochs."""

    def __init__(self, *stops):
        self._left, self._stops, self.heard = list(range(len(stops))), stops, []

    def next_trial(self):
        if not self._left:
            return None
        config = self._left.pop(0)
        return Begun(str(config), config)

    def epoch_done(self, trial, epoch, score, seconds, status):
        self.heard.append((trial, epoch, score, status))
        return status is None and epoch < self._stops[int(trial)]


def test_the_driver_counts_epochs_time_and_lost_trials(tmp_path):
    lines = [
        *rows(1, "dice", 1, [0.1, 0.9, 0.95], seconds=10),
        *rows(2, "dice", 1, [0.5, 0.6, 0.7], seconds=1),
    ]
    table = read_table(write(tmp_path / "t.csv", *lines))
    strategy = Scripted(1, 3)
    found = Replay(table, strategy, seed=0).run(slots=1, max_epochs=99)
    assert strategy.heard == [
        ("0", 1, 0.1, None),
        ("1", 1, 0.5, None),
        ("1", 2, 0.6, None),
        ("1", 3, 0.7, "finished"),
    ]
    assert (found.best, found.seconds) == ([0.1, 0.5, 0.6, 0.7], [10, 11, 12, 13])
    assert (found.num_good, found.num_lost) == (1, 1)  # the first one would have been the best
    assert (found.epochs_to(0.55), found.seconds_to(0.55), found.best_after(2)) == (3, 12, 0.5)
    assert found.epochs_to(0.8) == np.inf


def test_two_slots_train_at_the_same_time(tmp_path):
    lines = [line for lr in (1, 2, 3) for line in rows(lr, "dice", 1, [0.1 * lr] * 2, seconds=lr)]
    found = Replay(read_table(write(tmp_path / "t.csv", *lines)), Scripted(9, 9, 9), seed=0).run(2, max_epochs=99)
    assert found.seconds == [1, 2, 2, 4, 5, 8]


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_searches_and_is_judged(table, name):
    random = [search((table, "random", seed, 2))[1] for seed in range(2)]
    found = [search((table, name, seed, 2))[1] for seed in range(2)]
    figures = judge(table, {"random": random, name: found})[name]
    assert 0 <= figures["reached"] <= 1
    assert figures["regret"]["end"] >= -1e-9
    assert figures["trials"] >= 5
    assert set(figures["regret"]) == {*map(str, BUDGETS), "end"}


@pytest.mark.parametrize(
    ("header", "lines", "message"),
    [
        (HEADER, [], "must hold trainings, but has no rows"),
        ("lr,seed,epoch,score", ["1,0,1,0.5"], "must have the columns seed, epoch, score, seconds"),
        (HEADER, ["1,dice,1,0,1,0.1,1,7"], "line 2 of .* has more values than the table has columns"),
        (HEADER, ["1,dice,1,0,1"], "line 2 of .*: score must be a number, but is ''"),
        (HEADER, rows(1, "dice", 1, [0.1, 0.2]), "must hold at least two configs, but has one"),
        (HEADER, ["1,dice,1,0,1,0.1,1", "2,dice,1,0,1,,1"], "line 3 of .*: score must be a number, but is ''"),
        (HEADER, ["1,dice,1,0,1,0.1,1", "2,dice,1,0,2,0.1,1"], r"every epoch from 1 on once, but .* has \[2\]"),
        (HEADER, ["1,dice,,0,1,0.1,1", "1,dice,4,0,1,0.1,1"], "no gamma in 1 of 2 rows: .* by the value of one other"),
        (HEADER, ["1,dice,,0,1,0.1,1", "2,dice,,0,1,0.1,1"], "no gamma in any row"),
    ],
)
def test_tables_that_cannot_be_searched_are_refused(tmp_path, header, lines, message):
    with pytest.raises(DataError, match=message):
        read_table(write(tmp_path / "t.csv", *lines, header=header))


@pytest.mark.parametrize("path", sorted(TABLES.glob("*.csv")), ids=lambda path: path.stem)
def test_the_projects_own_tables_hold_two_trainings_of_many_configs(path):
    table = read_table(path)
    assert len(table.configs) >= 250
    assert {len(curves) for curves in table.curves} == {2}
    assert any(column.parent for column in table.columns)


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_table(tmp_path / "none.csv")
