"""A trial that is trained on K-Means clusters and scored by the palette classes."""

import io
from pathlib import Path

import fake_sweep
import numpy as np
import pytest
import torch
from PIL import Image

from segray import text
from segray.cli.scores_table import print_scores
from segray.config import RunConfig
from segray.data.datasets.pairs_reader import palette_space
from segray.data.preparation import prepare
from segray.data.synthetic import write_scenes
from segray.engine.checkpoint import load_checkpoint
from segray.engine.samples import sample_name, write_samples
from segray.engine.trial import train_trial
from segray.inference.predictor import Predictor, load_model
from segray.inference.sweep_scores import Evaluation, evaluate_model
from segray.objective import SCORES
from segray.storage import open_sweep
from segray.trial_log import TrialLog

NUM_CLUSTERS = 12


class Silent:
    def hand_over(self, record, final):
        return True

    def interrupted(self):
        return False


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """Train one epoch on clusters; return the config, the trial's files and the data."""
    root = tmp_path_factory.mktemp("clusters")
    write_scenes("cityscapes_pairs", root / "scenes", train=4, val=3, size_px=(64, 64))
    config = RunConfig().with_values(
        {
            "data.dataset": "cityscapes_pairs",
            "data.root": str(root / "scenes"),
            "data.cache_dir": str(root / "cache"),
            "data.pairs.labels": "kmeans",
            "data.pairs.num_clusters": NUM_CLUSTERS,
            "model.encoder": "tu-test_resnet",
            "model.encoder_weights": "none",
            "train.batch_size": 2,
            "train.epochs": 1,
            "train.precision": "float32",
        }
    )
    files = open_sweep(root / "sweep").trial("0000")
    train_trial(config, files, Silent(), log=TrialLog(files.folder))
    return config, files, prepare(config.data)


@pytest.fixture(scope="module")
def predicted(trial):
    """Return the logits of the checkpoint's model for every validation image."""
    model, _, space = load_checkpoint(trial[1].folder.child(trial[1].pointer("best").checkpoint))
    assert space.num_classes == NUM_CLUSTERS
    photos = np.stack([trial[2].val.pair(index)[0] for index in range(3)])
    with torch.no_grad():
        return model(torch.from_numpy(photos).permute(0, 3, 1, 2).float()).numpy()


def mapped(data, logits):
    class_of = data.scoring.class_of
    standing = [index for index, class_id in enumerate(class_of) if class_id is not None]
    return np.array([class_of[index] for index in standing])[logits[:, standing].argmax(axis=1)]


def test_judging_repeats_the_cluster_accuracy_and_shows_it(trial, capsys):
    _, files, _ = trial
    sweep = fake_sweep.empty_sweep(Path(files.folder.path).parents[2], "sweep").files
    found, _ = evaluate_model(load_model(sweep.folder, trial="0000"), Evaluation(split="val"))
    print_scores(found)
    accuracy = text.percent(files.records()[0].scores["val_cluster_accuracy"])
    assert f"clusters of training {accuracy}" in capsys.readouterr().out


def test_the_record_is_of_palette_classes_with_the_cluster_accuracy_beside_it(trial, predicted):
    _, files, data = trial
    (record,) = files.records()
    truth = np.stack([data.val.judged(index, data.val.pair(index)[1]) for index in range(3)])
    labels = np.stack([data.val.pair(index)[1] for index in range(3)])
    right = mapped(data, predicted) == truth
    assert record.scores.keys() >= set(SCORES), "scores_by_name or epoch_scores must give each score a value"
    ious = record.class_iou(data.scored_space.names)
    assert [iou is not None for iou in ious] == [(truth == index).any() for index in range(19)]
    assert record.scores["val_pixel_accuracy"] == pytest.approx(right[truth != 255].mean(), abs=2e-3)
    assert record.scores["val_cluster_accuracy"] == pytest.approx((predicted.argmax(axis=1) == labels).mean(), abs=2e-3)


def test_sample_pictures_have_the_palette_classes(trial, predicted, tmp_path):
    _, files, data = trial
    sweep = open_sweep(tmp_path / "sweep")
    write_samples(sweep.folder, data)
    stem = sample_name(data.val, 0)
    pictures = {
        f"{stem}_truth": (sweep.folder, data.val.judged(0, data.val.pair(0)[1])),
        f"{stem}_prediction": (files.folder, mapped(data, predicted)[0]),
    }
    for name, (folder, expected) in pictures.items():
        image = Image.open(io.BytesIO(folder.read_bytes(f"samples/{name}.png")))
        assert (np.asarray(image) == expected).mean() > 0.99
        assert tuple(image.getpalette()[:3]) == palette_space().colors[0]


def test_a_photo_is_predicted_in_the_clusters_own_colors(trial):
    config, files, data = trial
    model, _, space = load_checkpoint(files.folder.child(files.pointer("best").checkpoint))
    assert space == data.label_space
    assert Predictor([model], config, space).predict(data.val.pair(0)[0]).labels.max() < NUM_CLUSTERS
