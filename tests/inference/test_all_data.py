"""A run on all data is scored on test images that it never saw."""

from tiny_trials import sweep_of, tiny_config

from segray.inference.predictor import load_model
from segray.inference.sweep_scores import judge_best


def test_test_images_stay_untouched_and_are_scored_at_the_end(tmp_path):
    config = tiny_config(tmp_path).with_values({"data.all_data": True, "train.epochs": 1})
    files = sweep_of(tmp_path / "runs", "all", config, {"0000": {}})
    splits = files.splits()
    assert set(splits.val) < set(splits.train)
    assert not set(splits.test) & set(splits.train)
    said = []
    assert judge_best(files, "runs/all", said.append), said
    assert files.test_scores().num_images == len(splits.test) == 3
    assert load_model(files.folder.path).title.endswith(" on training images")
