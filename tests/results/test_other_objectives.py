"""A sweep whose objective is not mIoU: tables, notes, figures and the best trial follow it."""

import fake_sweep
import pytest

from dashboards.figures import FIGURES
from dashboards.figures.choices import choices_info
from dashboards.figures.curves import curves_info
from dashboards.figures.history import history_info
from dashboards.figures.parallel import parallel_info
from dashboards.summary import summarise
from segray.cli.results_table import print_results
from segray.objective import Objective, find_objective
from segray.results import load
from segray.results.notes import notes


def plain(text):
    return text.replace("\u00a0", " ")


def sweep_by(tmp_path, name):
    """The trial with the lowest loss has the lowest mIoU, and its best epoch is its first by loss, its last by mIoU."""
    sweep = fake_sweep.empty_sweep(tmp_path, objectives=(find_objective(name),))
    fake_sweep.write_trial(sweep, "0000", {"optim.lr": 0.001, "loss.name": "dice"}, [0.50, 0.60], losses=[0.9, 0.8])
    fake_sweep.write_trial(sweep, "0001", {"optim.lr": 0.002, "loss.name": "focal"}, [0.30, 0.40], losses=[0.3, 0.5])
    fake_sweep.write_trial(
        sweep, "0002", {"optim.lr": 0.003, "loss.name": "focal"}, [0.55], losses=[0.1], status="failed"
    )
    return sweep


@pytest.fixture
def by_loss(tmp_path):
    return load(sweep_by(tmp_path, "val_loss").files.folder.path)


def test_the_best_trial_and_its_best_epoch_are_those_of_the_lowest_loss(by_loss):
    best = by_loss.best_trial()
    assert (best["id"], best["best_epoch"], best["best_val_loss"]) == ("0001", 1, 0.3)
    assert best["val_miou"] == 0.30
    assert by_loss.ranked["id"].tolist() == ["0001", "0000"]


def test_the_same_trials_rank_the_other_way_by_miou(tmp_path):
    results = load(sweep_by(tmp_path, "val_miou").files.folder.path)
    assert results.ranked["id"].tolist() == ["0000", "0001"]
    assert results.best_trial()["best_epoch"] == 2


def test_json_and_csv_name_the_objective_and_keep_miou_beside_it(by_loss):
    content = by_loss.as_json()
    assert (content["metric"], content["direction"]) == ("val_loss", "minimize")
    assert content["trials"][1]["best_val_loss"] == 0.3
    assert content["trials"][1]["val_miou"] == 0.30
    assert {"best_val_loss", "val_miou"} < set(by_loss.as_csv().splitlines()[0].split(","))


def test_the_table_shows_the_objective_first_then_miou(by_loss, capsys):
    print_results(by_loss.files.folder.path)
    heading, first = capsys.readouterr().out.splitlines()[1:3]
    assert heading.split()[:6] == ["trial", "outcome", "val", "loss", "val", "mIoU"]
    assert plain(first).split()[:5] == ["0001", "finished", "0.3000", "30.0", "%"]


def test_the_report_gives_losses_and_their_differences(by_loss):
    summary = summarise(by_loss)
    assert (summary.best.id, summary.best.score, summary.best.label, summary.best.mean) == (
        "0001",
        "0.3000",
        "best val loss",
        "",
    )
    assert [(line.figure, line.meaning) for line in summary.best.lines] == [
        ("−0.5000", "over the first trial (0.8000)")
    ]
    assert (summary.objective, summary.columns[0]) == ("val loss", "val mIoU")


def test_every_figure_of_it_can_be_drawn(tmp_path):
    sweep = fake_sweep.full_sweep(tmp_path, samples=False, tested=True, objectives=(find_objective("val_loss"),))
    results = load(sweep.files.folder.path)
    for name, figure in FIGURES.items():
        if name not in ("predictions", "progress", "repeats", "corruptions"):
            assert "mIoU" not in figure.plot(results).to_json(), name


def test_figures_follow_the_direction(by_loss):
    history = history_info(by_loss)
    assert history.best_so_far == (0.8, 0.3, 0.3)
    assert history.majority_score is None
    assert [curve.trial for curve in curves_info(by_loss).curves][-2:] == ["0000", "0001"]
    assert curves_info(by_loss).curves[-1].scores == (0.3, 0.5)
    last = parallel_info(by_loss).lines[-1]
    assert (last.score, last.positions[-1]) == (0.3, 1.0), "the best trial lies at the top"
    [group] = [group for group in choices_info(by_loss).groups if group.label == "loss"]
    assert [choice.name for choice in group.choices] == ["focal", "dice"]


@pytest.mark.parametrize(("losses", "is_named"), [([0.30, 0.32], False), ([0.30, 0.75], True)])
def test_repeats_overlap_where_the_highest_loss_is_not_below_the_baselines_lowest(tmp_path, losses, is_named):
    sweep = sweep_by(tmp_path, "val_loss")
    fake_sweep.write_trial(sweep, "0001", {"train.epochs": 4}, [0.30, 0.40], losses=[0.3, 0.5])
    fake_sweep.write_repeats(sweep, "0001", [0.3, 0.3], epochs=4, losses=losses)
    fake_sweep.write_repeats(sweep, "0000", [0.6, 0.6], epochs=4, losses=[0.7, 0.8])
    results = load(sweep.files.folder.path)
    gain = results.confirmation().gain
    assert gain.values == pytest.approx((losses[0] - 0.7, losses[1] - 0.8))
    texts = [note.text for note in notes(results, ("overlap",))]
    assert bool(texts) == is_named
    if is_named:
        assert "worst repeat of trial 0001 (0.7500) is not below the best of the first trial (0.7000)" in texts[0]


def test_the_iou_of_a_class_ranks_and_the_test_images_are_scored_by_it(tmp_path):
    sweep = fake_sweep.empty_sweep(tmp_path, objectives=(find_objective("val_iou/car"),))
    fake_sweep.write_trial(sweep, "0000", {}, [0.5])
    [record] = sweep.files.trial("0000").records()
    results = load(sweep.files.folder.path)
    assert results.best_trial()["best_val_iou/car"] == record.scores["val_iou/car"]
    scores = fake_sweep.scores(miou=0.28)
    ious = tuple(0.25 if name == "car" else 0.5 for name in scores.classes)
    sweep.files.write_test_scores(scores.model_copy(update={"iou": ious}))
    best = summarise(load(sweep.files.folder.path)).best
    assert (best.label, plain(best.test_score), best.test_label, best.test_mean) == (
        "best val IoU of car",
        "25.0 %",
        "IoU of car",
        "",
    )


def test_the_test_images_are_scored_by_the_frequency_weighted_iou(tmp_path):
    sweep = fake_sweep.empty_sweep(tmp_path, objectives=(find_objective("val_frequency_weighted_iou"),))
    fake_sweep.write_trial(sweep, "0000", {}, [0.5])
    sweep.files.write_test_scores(fake_sweep.scores())
    best = summarise(load(sweep.files.folder.path)).best
    assert (plain(best.score), plain(best.test_score)) == ("65.0 %", "70.0 %")
    assert best.test_label == "frequency-weighted IoU"


def test_a_direction_may_be_turned(tmp_path):
    sweep = fake_sweep.empty_sweep(tmp_path, objectives=(Objective("val_miou", "minimize"),))
    fake_sweep.write_trial(sweep, "0000", {}, [0.5])
    fake_sweep.write_trial(sweep, "0001", {}, [0.3])
    assert load(sweep.files.folder.path).best_trial()["id"] == "0001"
