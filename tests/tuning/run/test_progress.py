import fake_sweep
import pytest

from segray.clock import working_time
from segray.config import RunConfig
from segray.tuning.run.progress import Progress, RunningTrial, View, shown
from segray.tuning.run.search import search_progress
from segray.tuning.sweep import Sweep
from segray.tuning.training_run import nothing


def progress(**values):
    return Progress(**{"total": 10, "slots": 2, "deadline": None, **values})


def test_the_headline_says_what_is_done_running_best_and_left():
    now = progress(done=4, best=0.4251, best_id="0002", trial_seconds=[60.0] * 4)
    now.running["0005"] = RunningTrial("0005", {}, 6)
    headline = now.headline().replace("\u00a0", " ")
    assert headline.startswith("4/10 trials done, 1 running, best val mIoU 42.5 % (trial 0002), 0 s spent")
    assert headline.endswith("about 3 min 00 s left")


def test_scores_on_training_images_are_not_called_the_best(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    base = RunConfig().with_values({"data.all_data": True})
    sweep = Sweep(name="s", base=base, space=nothing, trials=1)
    now = search_progress(sweep, fake_sweep.empty_sweep(tmp_path).files, slots=1)
    now.best, now.best_id = 0.4251, "0000"
    headline = now.headline().replace("\u00a0", " ")
    assert headline.startswith("0/1 trials done, 0 running, val mIoU on training images 42.5 % (trial 0000), 0 s spent")
    with View(now) as view:
        view.refresh()
    assert "best" not in capsys.readouterr().out


def test_the_headline_of_repeats_names_no_best_one():
    headline = progress(done=1, total=6, what="repeat").headline().replace("\u00a0", " ")
    assert headline == "1/6 repeats done, 0 running, 0 s spent"


def test_the_last_trials_take_as_long_as_the_longest_of_them():
    now = progress(done=8, trial_seconds=[60.0])
    now.running["0008"] = RunningTrial("0008", {}, epochs=6, epoch=5)
    now.running["0009"] = RunningTrial("0009", {}, epochs=6, epoch=2)
    assert now.seconds_left() == pytest.approx(40)


def test_a_time_budget_bounds_what_is_left():
    now = progress(done=1, trial_seconds=[600.0], deadline=working_time() + 100)
    assert 95 < now.seconds_left() <= 100
    assert progress(total=None).seconds_left() is None


def test_without_a_terminal_lines_are_all_there_is(capsys):
    now = progress()
    with View(now) as view:
        assert view.is_plain
        view.refresh()
        view.say("trial 0000 [bold]finished[/bold]")
    assert capsys.readouterr().out == "trial 0000 [bold]finished[/bold]\n"


def test_on_a_terminal_lines_break_between_words(monkeypatch, capsys):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "20")
    View(progress()).say("trial 0000 finished after 2 epochs")
    assert capsys.readouterr().out == "trial 0000 finished \nafter 2 epochs\n"


def test_the_table_lists_running_trials_by_id(monkeypatch, capsys):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    now = progress(running={name: RunningTrial(name, {}, 6) for name in ("0001", "0000")})
    with View(now) as view:
        view.refresh()
    out = capsys.readouterr().out
    assert 0 < out.index("0000") < out.index("0001")


def test_values_are_short():
    assert shown({"optim.lr": 0.0012345, "model.arch": "Unet"}) == "lr 0.00123, arch Unet"
