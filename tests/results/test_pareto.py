"""The Pareto front and its hypervolume, on points that are counted by hand, and in the results of a made sweep."""

import json

import numpy as np
import pandas as pd
import pytest
from fake_sweep import empty_sweep, record

from segray.goals import find_goals
from segray.records import Outcome
from segray.results import load
from segray.results.notes import notes
from segray.results.pareto import hypervolume, hypervolume_history, pareto_front

GOALS = find_goals(["val_miou", "latency_ms"])
POINTS = {"0000": (0.5, 20.0), "0001": (0.6, 40.0), "0002": (0.4, 30.0), "0003": (0.3, 10.0), "0004": (0.9, None)}


def frame(points=POINTS):
    rows = [{"id": name, "best_val_miou": miou, "latency_ms": latency} for name, (miou, latency) in points.items()]
    return pd.DataFrame(rows).astype({"latency_ms": "float64"})


def test_the_front_holds_what_no_other_dominates():
    assert pareto_front(frame(), GOALS)["id"].tolist() == ["0001", "0000", "0003"]
    assert pareto_front(frame({"0000": (0.5, 20.0), "0001": (0.5, 20.0)}), GOALS)["id"].tolist() == ["0000", "0001"]
    assert pareto_front(frame()[:0], GOALS).empty


def test_the_hypervolume_grows_from_trial_to_trial():
    history = hypervolume_history(frame(), GOALS)
    # Scores 0.3 to 0.6 and latencies 10 to 40 become 0 to 1: 0000 is at (2/3, 2/3), 0001 at (1, 0), 0003 at (0, 1).
    assert history["trial"].tolist() == list(POINTS)
    assert history["hypervolume"].tolist() == pytest.approx([4 / 9] * 5)
    assert hypervolume_history(frame()[:0], GOALS).empty


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_hypervolume_agrees_with_chance(axes):
    random = np.random.default_rng(axes)
    points, places = random.uniform(0, 1, (7, axes)), random.uniform(0, 1, (20_000, axes))
    share = (places[:, None] <= points[None]).all(axis=-1).any(axis=1).mean()
    assert hypervolume(points) == pytest.approx(share, abs=0.015)


def test_results_tell_the_front_with_the_values(tmp_path, capsys):
    sweep = empty_sweep(tmp_path, objectives=GOALS.objectives, constraints=("latency_ms <= 50",))
    for name, (miou, latency) in POINTS.items():
        trial = sweep.files.trial(name)
        made = record(1, miou)
        trial.append_record(made.model_copy(update={"scores": made.scores | {"latency_ms": latency}}))
        trial.finish(Outcome(status="finished", epochs=1, best_score=miou, best_epoch=1))
    broken = sweep.files.trial("0005")
    broken.finish(Outcome(status="infeasible", reason="latency_ms <= 50 does not hold: 60 ms"))
    results = load(sweep.files.folder.path)
    assert results.pareto["id"].tolist() == ["0001", "0000", "0003"]
    [note] = notes(results, ["pareto"])
    assert "0001 (60.0\u00a0%, 40\u00a0ms), 0000 (50.0\u00a0%, 20\u00a0ms)" in note.text
    told = json.loads(json.dumps(results.as_json(), allow_nan=False))
    assert told["pareto"] == ["0001", "0000", "0003"]
    assert told["objectives"][1] == {"name": "latency_ms", "direction": "minimize"}
    assert told["constraints"] == ["latency_ms <= 50"]
    assert [trial["latency_ms"] for trial in told["trials"]] == [20.0, 40.0, 30.0, 10.0, None, None]
    assert results.epochs["latency_ms"].tolist()[:4] == [20.0, 40.0, 30.0, 10.0]
    assert "latency_ms" not in results.config_keys
