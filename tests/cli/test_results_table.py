import csv
import io
import json

import fake_sweep
import pytest

from segray.cli.results_table import print_results
from segray.errors import ConfigError
from segray.results import load


def test_the_table_puts_the_best_first_and_gives_reasons_of_failures(full, capsys):
    print_results(full.files.folder.path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("camvid, finished: 20 trials (")
    assert lines[2].startswith(full.best_trial()["id"])
    assert "0005 failed: DeepLabV3Plus needs more than one image a step in training" in lines
    assert not any("below the median" in line for line in lines)


def test_trials_cut_by_the_time_budget_can_be_resumed(sweep, capsys):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    fake_sweep.write_trial(sweep, "0001", {}, [0.2], status=None)
    print_results(sweep.files.folder.path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("camvid, finished: 2 of 20 trials (1 finished, 1 interrupted)")
    assert lines[-1] == "The sweep ended before its trials did (2 of 20 started, 1 cut short); --resume continues it."


def test_a_sweep_on_hold_says_since_when(sweep, capsys):
    held = fake_sweep.state("running").model_copy(update={"held_since": 1_796_000_000.0})
    sweep.files.write_state(held)
    print_results(sweep.files.folder.path)
    assert capsys.readouterr().out.startswith("camvid, running, on hold since 2026-11-30 00:53 UTC: 0 of 20 trials")
    [note] = fake_sweep.note_texts(load(sweep.files.folder.path), "running")
    assert note.startswith(
        "The sweep has been on hold since 2026-11-30 00:53 UTC, by request, and `segray continue` lets it"
    )
    sweep.files.write_state(held.model_copy(update={"status": "interrupted"}))
    print_results(sweep.files.folder.path)
    assert "on hold" not in capsys.readouterr().out


def test_without_a_planned_number_there_is_no_of(sweep, capsys):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    fake_sweep.write_trial(sweep, "0001", {}, [0.2], status=None)
    sweep.files.write_state(fake_sweep.state(trials=1))
    print_results(sweep.files.folder.path)
    assert capsys.readouterr().out.startswith("camvid, finished: 2 trials (")


def test_markup_in_a_name_is_printed_as_it_is(sweep, capsys):
    fake_sweep.write_trial(sweep, "0000", {"model.encoder": "[red]x"}, [], status="failed", reason="[bold]why")
    print_results(sweep.files.folder.path)
    out = capsys.readouterr().out
    assert "[red]x" in out
    assert "[bold]why" in out


def test_a_sweep_without_trials_is_one_line(sweep, capsys):
    print_results(sweep.files.folder.path)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_json_is_one_object(full, capsys):
    print_results(full.files.folder.path, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert len(printed["trials"]) == 20
    assert printed["classes"] == list(full.info.classes)
    assert printed["classes_in_mean"] == list(full.info.val_classes)


def test_json_does_not_say_what_an_earlier_version_took_the_mean_over(sweep, capsys):
    info = sweep.files.info().model_copy(update={"val_classes": ()})
    sweep.files.folder.write_json("sweep.json", info.model_dump(mode="json"))
    print_results(sweep.files.folder.path, as_json=True)
    assert json.loads(capsys.readouterr().out)["classes_in_mean"] is None


def test_csv_has_a_row_per_trial_and_fractions(full, capsys):
    print_results(full.files.folder.path, as_csv=True)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["id"] for row in rows] == full.trials["id"].tolist()
    assert float(rows[0]["best_val_miou"]) == full.trials["best_val_miou"].iloc[0]


def test_both_formats_at_once_are_refused(full):
    with pytest.raises(ConfigError, match="exclude each other"):
        print_results(full.files.folder.path, as_json=True, as_csv=True)


@pytest.fixture
def cluster_sweep(sweep):
    for trial_id, num_clusters, miou, accuracy in (("0000", 10, 0.30, 0.84), ("0001", 2, 0.12, 0.97)):
        values = {"data.pairs.num_clusters": num_clusters}
        fake_sweep.write_trial(sweep, trial_id, values, [miou], cluster_accuracy=accuracy)
    return sweep


def test_the_accuracy_on_clusters_stands_beside_the_miou_that_ranks(cluster_sweep, capsys):
    print_results(cluster_sweep.files.folder.path)
    lines = capsys.readouterr().out.replace("\u00a0", " ").splitlines()
    assert "cluster accuracy" in lines[1]
    assert lines[2].startswith("0000")
    assert "84.0 %" in lines[2]
    assert "compare only at the same K" in lines[-1]


def test_the_accuracy_on_clusters_is_in_json_and_csv_only_where_there_is_one(cluster_sweep, full, capsys):
    def printed(sweep, **options):
        print_results(sweep.files.folder.path, **options)
        return capsys.readouterr().out

    assert [trial["cluster_accuracy"] for trial in json.loads(printed(cluster_sweep, as_json=True))["trials"]] == [
        0.84,
        0.97,
    ]
    assert "cluster_accuracy" in printed(cluster_sweep, as_csv=True).splitlines()[0]
    assert "cluster_accuracy" not in printed(full, as_csv=True)
    assert "cluster_accuracy" not in printed(full, as_json=True)


def test_repeats_are_a_line_or_two_and_their_failures_have_reasons(sweep, capsys):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    fake_sweep.write_trial(sweep, "0001", {"train.epochs": 6}, [0.4])
    fake_sweep.write_repeats(sweep, "0001", [0.31, 0.4], epochs=6)
    fake_sweep.write_repeats(sweep, "0000", [0.3, 0.32], epochs=6)
    fake_sweep.write_trial(sweep, "0000-seed3-epochs6", {}, [], status="failed", reason="why")
    print_results(sweep.files.folder.path)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("camvid, finished: 2 of 20 trials (2 finished)")
    assert lines[4].startswith("Repeated with 2 seeds, 6 epochs: ")
    assert lines[5].startswith("The spread overlaps: ")
    assert lines[-1] == "0000-seed3-epochs6 failed: why"


def test_the_test_figure_is_a_line_and_in_the_json(sweep, capsys):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    sweep.files.write_splits(fake_sweep.splits(num_test=5))
    sweep.files.write_test_scores(fake_sweep.scores(miou=0.281))
    print_results(sweep.files.folder.path)
    assert "on them it has 28.1\u00a0% mIoU." in capsys.readouterr().out
    print_results(sweep.files.folder.path, as_json=True)
    assert json.loads(capsys.readouterr().out)["test"]["miou"] == 0.281


def test_what_the_means_leave_out_are_lines(tmp_path, capsys):
    held = tuple(fake_sweep.CLASSES)[:9]
    sweep = fake_sweep.empty_sweep(tmp_path, val_classes=held)
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    sweep.files.write_splits(fake_sweep.splits(num_test=5))
    scores = fake_sweep.scores(miou=0.281)
    sweep.files.write_test_scores(scores.model_copy(update={"iou": (None, *scores.iou[1:])}))
    print_results(sweep.files.folder.path)
    printed = capsys.readouterr().out
    assert "mIoU is the mean over 9 of 11 classes: no validation image has pedestrian, bicyclist.\n" in printed
    assert "on them it has 28.1\u00a0% mIoU (mean over 10 of 11 classes)." in printed
