import fake_sweep
import pytest

from dashboards.summary import summarise
from segray.config import RunConfig, read_yaml
from segray.results import load


def summary_of(sweep):
    return summarise(load(sweep.files.folder.path))


def plain(text):
    return text.replace("\u00a0", " ")


def lines_of(best):
    return [(plain(line.figure), plain(line.meaning)) for line in best.lines]


def test_the_headline_gives_the_gains_over_both_baselines(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.30])
    fake_sweep.write_trial(sweep, "0001", {"optim.lr": 0.01}, [0.345, 0.34])
    best = summary_of(sweep).best
    assert (best.id, plain(best.score), best.epoch) == ("0001", "34.5 %", "epoch 1 of 2")
    assert lines_of(best) == [
        ("+4.5 points", "over the first trial (30.0 %)"),
        ("+31.7 points", "over predicting road everywhere (2.8 %)"),
    ]
    assert ("optim.lr", "0.01") in best.config


def test_the_headline_gives_best_recipe_and_gain_over_further_seeds(tmp_path):
    sweep = fake_sweep.empty_sweep(tmp_path, recipe="fcn")
    fake_sweep.write_trial(sweep, "0000", {}, [0.30])
    fake_sweep.write_trial(sweep, "0001", {"train.epochs": 6}, [0.55])
    fake_sweep.write_repeats(sweep, "0001", [0.52, 0.53, 0.51], epochs=6)
    fake_sweep.write_repeats(sweep, "0000", [0.31, 0.30, 0.32], epochs=6)
    summary = summary_of(sweep)
    assert plain(summary.best.score) == "55.0 %"
    assert lines_of(summary.best)[:3] == [
        ("52.0 %", "trial 0001 repeated (51.0 to 53.0, 3 seeds)"),
        ("31.0 %", "recipe fcn with the same seeds and epochs (30.0 to 32.0, 3 seeds)"),
        ("+21.0 points", "gain, seed by seed (+19.0 to +23.0, 3 seeds)"),
    ]
    assert not any("one seed" in note or "overlaps" in note for note in summary.notes)


def test_a_gain_of_single_runs_says_how_to_get_its_spread(tmp_path):
    sweep = fake_sweep.empty_sweep(tmp_path, recipe="fcn")
    fake_sweep.write_trial(sweep, "0000", {}, [0.30])
    fake_sweep.write_trial(sweep, "0001", {}, [0.35])
    summary = summary_of(sweep)
    assert lines_of(summary.best)[0] == ("+5.0 points", "over recipe fcn (30.0 %)")
    [note] = [note for note in summary.notes if "one seed each" in note]
    assert note.startswith("The gain over recipe fcn rests on one seed each; --resume --trials 2 --repeats 3 ")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("out_of_memory", "not known: its trial ended as out of memory, and failed trials are not repeated."),
        (None, "not known, since its trial is interrupted; --resume --trials 1 --repeats 3 repeats both."),
    ],
)
def test_a_baseline_that_failed_or_was_cut_gives_no_gain(tmp_path, status, said):
    sweep = fake_sweep.empty_sweep(tmp_path, recipe="fcn")
    fake_sweep.write_trial(sweep, "0000", {}, [0.30], status=status)
    fake_sweep.write_trial(sweep, "0001", {}, [0.35])
    summary = summary_of(sweep)
    assert not any("over recipe fcn" in what for _, what in lines_of(summary.best))
    assert f"The gain over recipe fcn is {said}" in summary.notes


def test_a_failed_baseline_is_said_beside_the_best_trials_repeats_too(tmp_path):
    sweep = fake_sweep.empty_sweep(tmp_path, recipe="fcn")
    fake_sweep.write_trial(sweep, "0000", {}, [0.30], status="diverged")
    fake_sweep.write_trial(sweep, "0001", {"train.epochs": 1}, [0.35])
    fake_sweep.write_repeats(sweep, "0001", [0.34, 0.36])
    summary = summary_of(sweep)
    assert lines_of(summary.best)[0][0] == "35.0 %"
    assert any("its trial ended as diverged" in note for note in summary.notes)


def test_a_sweep_that_runs_is_not_told_how_to_run_repeats(tmp_path):
    sweep = fake_sweep.empty_sweep(tmp_path)
    sweep.files.write_state(fake_sweep.state("running"))
    fake_sweep.write_trial(sweep, "0000", {}, [0.30])
    fake_sweep.write_trial(sweep, "0001", {}, [0.35])
    fake_sweep.write_trial(sweep, "0002", {}, [0.25], status=None)
    assert not any("--repeats" in note for note in summary_of(sweep).notes)


def test_only_what_the_best_trial_drew_is_its_config(sweep):
    fake_sweep.write_trial(sweep, "0000", {"loss.name": "focal", "loss.focal_gamma": 3.0}, [0.30])
    fake_sweep.write_trial(sweep, "0001", {"loss.name": "dice"}, [0.35])
    summary = summary_of(sweep)
    assert summary.best.config == (("loss.name", "dice"),)
    gamma = summary.columns.index("focal gamma")
    assert [row.cells[gamma].shown for row in summary.rows] == ["3", "–"]


def test_a_spread_that_overlaps_is_noted(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.30])
    fake_sweep.write_trial(sweep, "0001", {"train.epochs": 6}, [0.35])
    fake_sweep.write_repeats(sweep, "0001", [0.32, 0.35], epochs=6)
    fake_sweep.write_repeats(sweep, "0000", [0.30, 0.33], epochs=6)
    assert any("not above the best of the first trial (33.0 %)" in plain(note) for note in summary_of(sweep).notes)


def test_facts_say_what_was_spent_and_that_the_saving_is_an_estimate(sweep):
    reason = "stopped early after epoch 2: ..."
    fake_sweep.write_trial(sweep, "0000", {"train.epochs": 12}, [0.1] * 2, status="stopped", reason=reason)
    facts = {name: plain(value) for name, value in summary_of(sweep).facts}
    assert facts["Time spent"] == "19 min 00 s"
    assert facts["Saved by early stopping"] == "about 1 min 00 s of training (estimate)"
    assert facts["Trials"] == "1 of 20"
    assert facts["Data set"] == "camvid, resized to 160×224 px"
    assert facts["Epochs"] == "searched, at most 12"


def test_a_searched_patience_is_noted_unless_nothing_stopped_early(tmp_path):
    def notes(name, **changes):
        sweep = fake_sweep.empty_sweep(tmp_path, name, **changes)
        fake_sweep.write_trial(sweep, "0000", {}, [0.2])
        return " ".join(summary_of(sweep).notes)

    patience = {"train.patience": "one of 3, 5"}
    assert "unequal learning-rate schedules: train.patience" in notes("patience", space=patience)
    # Rungs are shares of a trial's own schedule.
    assert "unequal" not in notes("epochs")
    assert "unequal" not in notes("unstopped", space=patience, scheduler="none")


def test_notes_say_what_is_missing(sweep):
    assert any("No trial has started" in note for note in summary_of(sweep).notes)
    fake_sweep.write_trial(sweep, "0000", {}, [], status="failed")
    assert any("Every trial failed" in note for note in summary_of(sweep).notes)
    fake_sweep.write_trial(sweep, "0001", {}, [0.3], status="stopped")
    notes = summary_of(sweep).notes
    assert any("gain over the first trial is not known" in note for note in notes)
    assert any("No trial has run to its end" in note for note in notes)


def test_a_first_trial_that_is_still_the_best_is_said(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    assert any("only one trial" in note for note in summary_of(sweep).notes)
    fake_sweep.write_trial(sweep, "0001", {}, [0.2])
    assert any("not improved on the first trial, which is still the best" in note for note in summary_of(sweep).notes)


def test_the_data_set_is_the_folder_and_how_it_was_read(tmp_path):
    base = {"data.dataset": "cityscapes", "data.root": "/home/someone/segray/data/synthetic"}
    sweep = fake_sweep.empty_sweep(tmp_path, base=base)
    assert dict(summary_of(sweep).facts)["Data set"] == "data/synthetic in the layout of cityscapes"


def test_a_running_and_a_dead_sweep_say_so(sweep):
    sweep.files.write_state(fake_sweep.state("running"))
    assert "still running" in summary_of(sweep).notes[0]
    sweep.files.write_state(fake_sweep.state("running", age_seconds=100))
    assert "interrupted" in summary_of(sweep).notes[0]


def test_trials_cut_by_the_time_budget_are_noted(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3], status=None)
    assert summary_of(sweep).notes[0].startswith("The sweep ended before its trials did (1 of ")


def test_rows_sort_by_number_and_keep_missing_values_apart(full):
    summary = summarise(full)
    rows = {row.id: row for row in summary.rows}
    assert sum(row.is_best for row in summary.rows) == 1
    assert rows["0005"].score.number is None
    assert rows["0005"].score.is_number
    assert rows["0000"].score.number == full.trials["best_val_miou"].iloc[0]
    assert all(len(row.cells) == len(summary.columns) for row in summary.rows)


def test_provenance_names_what_made_the_sweep(full):
    provenance = dict(summarise(full).provenance)
    assert provenance["Command"].startswith("python sweeps/camvid_search.py")
    assert provenance["Encoder weights"].startswith("none: ImageNet")
    assert "torch 2.15.0" in provenance["Versions"]
    assert provenance["Git revision"] == "b65bb91"
    assert provenance["Seed"] == "7"


def test_clusters_are_compared_by_the_mapped_score_with_their_own_accuracy_beside_it(sweep, full):
    fake_sweep.write_trial(sweep, "0000", {"data.pairs.num_clusters": 10}, [0.30], cluster_accuracy=0.84)
    fake_sweep.write_trial(sweep, "0001", {"data.pairs.num_clusters": 2}, [0.12], cluster_accuracy=0.97)
    summary = summary_of(sweep)
    assert summary.best.id == "0000"
    assert summary.columns[0] == "cluster accuracy"
    assert [plain(row.cells[0].shown) for row in summary.rows] == ["84.0 %", "97.0 %"]
    assert any("mapped to the palette classes" in note for note in summary.notes)
    assert "cluster accuracy" not in summarise(full).columns


def judged(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.30, 0.29])
    sweep.files.write_splits(fake_sweep.splits(num_test=5))
    sweep.files.write_test_scores(fake_sweep.scores("0000", epoch=1, miou=0.281))
    return summary_of(sweep)


def test_the_test_figure_stands_beside_the_validation_figure_that_chose_the_trial(sweep):
    summary = judged(sweep)
    assert (plain(summary.best.score), plain(summary.best.test_score)) == ("30.0 %", "28.1 %")
    note = plain(summary.notes[-1])
    assert note.startswith("Validation chose trial 0000, which flatters")
    assert note.endswith("The 5 test images chose no trial; on them it has 28.1 % mIoU.")


def test_what_the_means_are_taken_over_stands_below_both_figures(tmp_path):
    sweep = fake_sweep.empty_sweep(tmp_path, val_classes=tuple(fake_sweep.CLASSES)[1:])
    best = judged(sweep).best
    assert (best.mean, best.test_mean) == ("mean over 10 of 11 classes", "mean over all 11 classes")
    assert "mIoU is the mean over 10 of 11 classes: no validation image has sky." in summary_of(sweep).notes


def test_a_test_figure_of_an_earlier_best_trial_does_not_stand_for_the_present_one(sweep):
    judged(sweep)
    fake_sweep.write_trial(sweep, "0001", {}, [0.4])
    summary = summary_of(sweep)
    assert summary.best.test_score == ""
    assert "Trial 0001 has not been scored on the 5 test images" in summary.notes[-1]


def test_without_test_images_it_says_how_to_keep_some(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    sweep.files.write_splits(fake_sweep.splits())
    assert "validation split that chose it; data.holdout keeps images" in summary_of(sweep).notes[-1]


def test_the_use_of_the_best_model_has_its_full_config_without_a_path(tmp_path):
    private = {"data.root": "/home/someone/camvid", "model.encoder_weights": "/home/someone/weights.pt"}
    base = RunConfig().with_values({"data.dataset": "camvid", **private}).flat()
    sweep = fake_sweep.empty_sweep(tmp_path, base=base)
    fake_sweep.write_trial(sweep, "0000", {"optim.lr": 0.125}, [0.3])
    use = summarise(load(sweep.files.folder.path), "runs/camvid").use
    assert use.config_file == "camvid-0000.yaml"
    assert "someone" not in use.config
    (tmp_path / use.config_file).write_text(use.config)
    expected = {"data.root": "", "model.encoder_weights": "weights.pt", "optim.lr": 0.125}
    assert read_yaml(tmp_path / use.config_file) == RunConfig().with_values(base | expected)
    assert all("runs/camvid" in command for _, command in use.commands)


def test_a_damaged_config_leaves_the_commands(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    results = load(sweep.files.folder.path)
    sweep.files.trial("0000").folder.write_json("config.json", {"nothing": 1})
    use = summarise(results).use
    assert (use.config, use.folder) == ("", "")
    assert len(use.commands) == 4


def test_a_sweep_without_a_score_has_nothing_to_use(sweep):
    assert summary_of(sweep).use is None


def test_a_run_on_all_data_has_no_best_score_in_its_headline(tmp_path):
    base = RunConfig().with_values({"data.all_data": True}).flat()
    sweep = fake_sweep.empty_sweep(tmp_path, base=base, space={})
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    summary = summary_of(sweep)
    assert summary.best.label == "val mIoU on training images"
    assert summary.objective == "val mIoU (trained on)"
    assert any("no figure of this run is unbiased" in note for note in summary.notes)
