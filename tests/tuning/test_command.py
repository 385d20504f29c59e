import sys
from dataclasses import replace

import pytest
from fake_sweep import empty_sweep, scores, splits, state, write_repeats, write_trial

from segray.config import RunConfig
from segray.errors import ConfigError
from segray.tuning import command
from segray.tuning.samplers import SAMPLERS
from segray.tuning.schedulers import SCHEDULERS
from segray.tuning.sweep import Sweep, check_values

SWEEP = Sweep(name="test", base=RunConfig().with_values({"data.root": "drawn"}), space=lambda trial: None, trials=1)


@pytest.fixture
def call(monkeypatch):
    """Call a study's command line; returns what it did, in order."""
    done = []
    monkeypatch.setattr(command, "run_sweep", lambda sweep: done.append(f"run on {sweep.base.data.root}"))
    monkeypatch.setattr(command, "_conclude", lambda sweep, files: 0)
    monkeypatch.setattr(command, "end_process", done.append)

    def run(*arguments, make_data=lambda: done.append("make data")):
        monkeypatch.setattr(sys, "argv", ["study.py", *arguments])
        with pytest.raises(SystemExit):
            command.main(SWEEP, make_data=make_data)
        return done

    return run


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["make data", "run on drawn", 0]),
        (["--data", "elsewhere"], ["run on elsewhere", 0]),
        (["--help"], []),
        (["--trails", "3"], []),
    ],
)
def test_data_is_made_only_for_a_sweep_that_starts_on_it(arguments, expected, call):
    assert call(*arguments) == expected


def test_ctrl_c_while_data_is_made_is_an_interrupt(call):
    def interrupted():
        raise KeyboardInterrupt

    assert call(make_data=interrupted) == [command.INTERRUPTED]


def test_data_must_be_given_where_none_is_made(call, capsys):
    assert call(make_data=None) == []
    assert "--data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "trials", "minutes"),
    [
        ([], 1, None),
        (["--trials", "9"], 9, None),
        (["--minutes", "480"], None, 480),
        (["--minutes", "480", "--trials", "1"], 1, 480),
    ],
)
def test_a_time_budget_alone_runs_as_many_trials_as_fit(arguments, trials, minutes, call, monkeypatch):
    asked = []
    monkeypatch.setattr(command, "run_sweep", asked.append)
    call(*arguments)
    assert (asked[0].trials, asked[0].minutes) == (trials, minutes)


@pytest.mark.parametrize(
    ("arguments", "num_seeds"),
    [([], 0), (["--repeats", "3"], 3), (["--confirm", "2"], 5), (["--confirm", "2", "--repeats", "0"], 0)],
)
def test_a_race_has_five_seeds_unless_repeats_are_given(arguments, num_seeds, call, monkeypatch):
    asked = []
    monkeypatch.setattr(command, "run_sweep", asked.append)
    call(*arguments)
    assert asked[0].num_seeds == num_seeds


def test_values_in_place_of_the_bases_are_set_and_named(call, monkeypatch):
    asked = []
    monkeypatch.setattr(command, "run_sweep", asked.append)
    call("--data", "elsewhere", "--set", "data.resize_px=[32, 64]", "--set", "loss.name=dice")
    changed = {"data.root": "elsewhere", "data.resize_px": [32, 64], "loss.name": "dice"}
    assert asked[0].base == SWEEP.base.with_values(changed)
    assert asked[0].fixed == ("data.resize_px", "loss.name")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("train.epochs=3", "--set cannot give train.epochs, which --epochs gives"),
        ("data.root=.", "--set cannot give data.root, which --data gives"),
        ("data.resize=3", "did you mean 'data.resize_px'"),
    ],
)
def test_a_key_that_cannot_be_set_is_refused(value, message, call, capsys):
    assert call("--set", value) == []
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--sampler", "--searcher"])
def test_sampler_and_scheduler_and_their_options_are_read_from_the_sweeps_fields(option, call, monkeypatch):
    asked = []
    monkeypatch.setattr(command, "run_sweep", asked.append)
    call(option, "gp", "--sampler-option", "n_startup_trials=5", "--sampler-option", "deterministic_objective=true")
    call("--scheduler", "median", "--grace-epochs", "2", "--workers-per-trial", "2", "--trial-timeout", "30")
    first, second = asked
    assert (first.sampler, first.sampler_options) == ("gp", {"n_startup_trials": 5, "deterministic_objective": True})
    assert (second.sampler, second.sampler_options) == (None, {})
    assert (second.scheduler, second.grace_epochs, second.reduction_factor) == ("median", 2, None)
    assert (second.resources.workers_per_trial, second.limits.trial_minutes) == (2, 30)


def test_options_of_the_study_stay_with_its_sampler(call, monkeypatch):
    asked = []
    monkeypatch.setattr(command, "run_sweep", asked.append)
    monkeypatch.setattr("test_command.SWEEP", replace(SWEEP, sampler_options={"n_startup_trials": 3}))
    call()
    call("--sampler", "random")
    assert [(sweep.sampler, dict(sweep.sampler_options)) for sweep in asked] == [
        (None, {"n_startup_trials": 3}),
        ("random", {}),
    ]


def test_the_sources_of_a_warm_start_are_the_studys_unless_given(call, monkeypatch):
    asked = []
    monkeypatch.setattr(command, "run_sweep", asked.append)
    monkeypatch.setattr("test_command.SWEEP", replace(SWEEP, warm_start=("portfolio",)))
    call()
    call("--warm-start", "runs/a", "--warm-start", "s3://bucket/b")
    assert [tuple(sweep.warm_start) for sweep in asked] == [("portfolio",), ("runs/a", "s3://bucket/b")]


def test_a_studys_own_storage_is_the_default(call, monkeypatch):
    asked = []
    monkeypatch.setattr(command, "run_sweep", asked.append)
    monkeypatch.setattr("test_command.SWEEP", replace(SWEEP, storage="elsewhere"))
    call()
    call("--storage", "given")
    assert [sweep.storage for sweep in asked] == ["elsewhere", "given"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sampler", "tpee"], "unknown --sampler 'tpee'; did you mean 'tpe'"),
        (["--scheduler", "ashaa"], "unknown --scheduler 'ashaa'; did you mean 'asha'"),
        (["--sampler-option", "n_startup_trails=5"], "did you mean 'n_startup_trials'"),
        (["--sampler-option", "n_startup_trials"], "must be NAME=VALUE, such as n_startup_trials=5"),
        (["--sampler-option", "group=true", "--sampler-option", "group=false"], "must give group once"),
        (["--grace-epochs", "0"], "--grace-epochs must be at least 1, but got 0"),
    ],
)
def test_a_sampler_scheduler_or_option_that_does_not_exist_is_refused(arguments, message, call, capsys, monkeypatch):
    monkeypatch.setattr(command, "run_sweep", check_values)
    call(*arguments)
    assert message in capsys.readouterr().err


def test_help_names_exactly_the_samplers_and_schedulers_there_are(call, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    call("--help")
    said = capsys.readouterr().out
    assert f"[{'|'.join(SAMPLERS)}]" in said
    assert f"[{'|'.join(SCHEDULERS)}]" in said


def test_the_end_says_what_the_repeats_gave(tmp_path, capsys):
    sweep = empty_sweep(tmp_path)
    write_trial(sweep, "0000", {"train.epochs": 2}, [0.4])
    write_repeats(sweep, "0000", [0.41, 0.39], epochs=2)
    command._conclude(replace(SWEEP, name="camvid", storage=str(tmp_path)), sweep.files)
    assert "Repeated with 2 seeds, 2 epochs: trial 0000 40.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("status", "mious", "code", "said"),
    [
        (
            "finished",
            [0.4],
            0,
            "1 cut short); --resume continues it.",
        ),
        ("interrupted", [0.4], 130, "The sweep was interrupted before its end; --resume continues it."),
        ("finished", [], 1, "no trial"),
    ],
)
def test_the_end_says_what_is_left_to_do(tmp_path, capsys, status, mious, code, said):
    sweep = empty_sweep(tmp_path)
    trial = write_trial(sweep, "0000", {}, mious, status=None)
    if mious:
        trial.write_pointer("best", trial.pointer("last"))
    sweep.files.write_state(state(status, trials=1))
    assert command._conclude(replace(SWEEP, name="camvid", storage=str(tmp_path)), sweep.files) == code
    assert said in capsys.readouterr().out


def test_the_report_is_there_before_the_test_images_are_judged_and_has_their_figure_after(
    tmp_path, monkeypatch, capsys
):
    sweep = empty_sweep(tmp_path)
    trial = write_trial(sweep, "0000", {}, [0.4], status=None)
    trial.write_pointer("best", trial.pointer("last"))
    sweep.files.write_splits(splits(num_test=5))
    sweep.files.write_state(state("finished", trials=1))
    report = tmp_path / "camvid" / "report.html"

    def judge(asked, files):
        assert "its test mIoU" not in report.read_text()
        assert "best val mIoU" in capsys.readouterr().out
        files.write_test_scores(scores("0000", 1, miou=0.265))
        return True

    monkeypatch.setattr(command, "judge_sweep", judge)
    command._conclude(replace(SWEEP, name="camvid", storage=str(tmp_path)), sweep.files)
    assert "its test mIoU" in report.read_text()
    assert "on them it has 26.5" in capsys.readouterr().out


def test_the_end_names_the_models_folder_and_commands_to_copy(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sweep = empty_sweep("runs")
    trial = write_trial(sweep, "0000", {}, [0.4], status=None)
    trial.write_pointer("best", trial.pointer("last"))
    command._conclude(replace(SWEEP, name="camvid", storage="runs"), sweep.files)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-5] == "model:  runs/camvid/trials/0000/checkpoints/1-1"
    commands = [line.partition("segray ")[2].split()[0] for line in lines[-4:]]
    assert commands == ["predict", "evaluate", "export", "train"]
    report = (tmp_path / "runs/camvid/report.html").read_text()
    assert "segray train --from runs/camvid --epochs 200" in report
    assert str(tmp_path) not in report.partition("<h2>Use the best model")[2].partition("</section>")[0]


def test_all_data_leaves_a_sweep_nothing_to_choose_by():
    base = SWEEP.base.with_values({"data.all_data": True})
    check_values(replace(SWEEP, base=base))
    for changes in ({"trials": 2}, {"trials": None, "minutes": 5.0}, {"repeats": 1}):
        with pytest.raises(ConfigError, match=r"data\.all_data trains on the validation images"):
            check_values(replace(SWEEP, base=base, **changes))


def test_the_end_of_a_run_on_all_data_says_that_its_score_is_on_training_images(tmp_path, capsys):
    base = RunConfig().with_values({"data.all_data": True}).flat()
    sweep = empty_sweep(tmp_path, base=base, space={})
    trial = write_trial(sweep, "0000", {}, [0.4], status=None)
    trial.write_pointer("best", trial.pointer("last"))
    command._conclude(replace(SWEEP, name="camvid", storage=str(tmp_path)), sweep.files)
    said = capsys.readouterr().out
    assert said.startswith("val mIoU on training images: 40.0")
    assert "no figure of this run is unbiased" in said
