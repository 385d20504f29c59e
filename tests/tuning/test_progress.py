import time

from segray.tuning.progress import Progress, RunningTrial, View, duration, shown


def progress(**values):
    return Progress(**{"total": 10, "slots": 2, "deadline": None, **values})


def test_the_headline_says_what_is_done_running_best_and_left():
    now = progress(done=4, best=0.4251, best_id="0002", trial_seconds=[60.0] * 4)
    now.running["0005"] = RunningTrial("0005", {}, 6)
    assert now.headline().startswith("4/10 trials done, 1 running, best val mIoU 0.425 (trial 0002), 0 s spent")
    assert now.headline().endswith("about 3 min 0 s left")


def test_a_time_budget_bounds_what_is_left():
    now = progress(done=1, trial_seconds=[600.0], deadline=time.monotonic() + 100)
    assert 95 < now.seconds_left() <= 100
    assert progress(total=None).seconds_left() is None


def test_without_a_terminal_lines_are_all_there_is(capsys):
    now = progress()
    with View(now) as view:
        assert view.is_plain
        view.refresh()
        view.say("trial 0000 [bold]finished[/bold]")
    assert capsys.readouterr().out == "trial 0000 [bold]finished[/bold]\n"


def test_values_and_durations_are_short():
    assert shown({"optim.lr": 0.0012345, "model.arch": "Unet"}) == "lr 0.00123, arch Unet"
    assert [duration(seconds) for seconds in (42, 200, 7500)] == ["42 s", "3 min 20 s", "2 h 5 min"]
