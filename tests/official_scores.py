"""Comparison with the official Cityscapes evaluator, which scores predictions from files."""

import importlib
import math

import numpy as np
import pytest


def load_evaluator(folder, patch):
    """Import the evaluator, which reads a folder from the environment, and make it silent."""
    patch.setenv("CITYSCAPES_DATASET", str(folder))
    module = importlib.import_module("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    # The evaluator calls a function that NumPy 2.4 no longer has under this name.
    patch.setattr(np, "in1d", lambda array, ids: np.isin(array.ravel(), ids), raising=False)
    patch.setattr(module.args, "quiet", True)
    patch.setattr(module.args, "JSONOutput", False)
    return module


def check_equal(found, expected):
    """Compare every class and category, and the means; the official evaluator has NaN where there is no score."""

    def value(score):
        return math.nan if score is None else score

    pairs = {}
    for kind, scores, instance_scores in (
        ("class", expected["classScores"], expected["classInstScores"]),
        ("category", expected["categoryScores"], expected["categoryInstScores"]),
    ):
        for name in scores:
            row = found.table.get(f"{kind} {name}", {"IoU": None, "iIoU": None})
            pairs[kind, name] = (value(row["IoU"]), scores[name])
            pairs[kind, name, "instances"] = (value(row["iIoU"]), instance_scores[name])
    for kind, official_name in (("class", "Classes"), ("category", "Categories")):
        for score_name, middle in (("IoU", ""), ("iIoU", "Inst")):
            mean = expected[f"averageScore{middle}{official_name}"]
            pairs[kind, score_name] = (value(found.summary[f"{kind} {score_name}"]), mean)
    wrong = {key: pair for key, pair in pairs.items() if pair[0] != pytest.approx(pair[1], abs=1e-6, nan_ok=True)}
    assert wrong == {}
    assert sum(not math.isnan(mine) for mine, _ in pairs.values()) >= 30
