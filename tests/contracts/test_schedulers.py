"""Which trials a scheduler stops, and what it is told again after a crash."""

import math
from types import SimpleNamespace

import pytest
from fake_sweep import empty_sweep, record

from segray.objective import MIOU, find_objective
from segray.records import Outcome
from segray.tuning.run.early_stopping import EarlyStopping
from segray.tuning.schedulers import SCHEDULERS, StoppingSettings, find_scheduler
from segray.tuning.schedulers.kind import NamedTrial
from segray.tuning.schedulers.rungs import Rungs

# freeze_thaw pauses trials, and reads the study: tests/tuning/run/test_pauses.py.
STOPPING = [name for name in SCHEDULERS if name not in ("none", "freeze_thaw")]


@pytest.fixture
def sweep(tmp_path):
    return empty_sweep(tmp_path).files


class Trial:
    def __init__(self, trial_id, num_epochs=None):
        self.trial_id = trial_id
        self.config = {"trial": trial_id, "values": {} if num_epochs is None else {"train.epochs": num_epochs}}


def decide(scheduler, trial_id, epoch, miou, num_epochs=None):
    trial = Trial(trial_id, num_epochs)
    scheduler.on_trial_add(None, trial)
    return scheduler.on_trial_result(None, trial, {"epoch": epoch, "best_score": miou, "record": None})


def scheduler_of(kind, sweep, max_epochs=9, objective=MIOU, grace_epochs=1):
    settings = StoppingSettings(
        max_epochs=max_epochs, grace_epochs=grace_epochs, reduction_factor=3, objective=objective
    )
    return EarlyStopping(find_scheduler(kind).build(settings), sweep, sweep, max_epochs)


def asha(sweep):
    return scheduler_of("asha", sweep)


def test_asha_stops_the_weak_but_never_the_baseline(sweep):
    scheduler = asha(sweep)
    assert decide(scheduler, "0001", 1, 0.5) == "CONTINUE"
    assert decide(scheduler, "0002", 1, 0.4) == "STOP"
    assert decide(scheduler, "0000", 1, 0.1) == "CONTINUE"


def test_rungs_are_rebuilt_from_the_files_of_trials_that_ended(sweep):
    strong = sweep.trial("0001")
    strong.append_record(record(1, 0.5))
    strong.finish(Outcome(status="finished"))
    scheduler = asha(sweep)
    assert decide(scheduler, "0003", 1, 0.4) == "STOP"
    assert decide(scheduler, "0004", 1, 0.6) == "CONTINUE"


def test_a_trial_that_goes_on_keeps_its_place_in_every_rung(sweep):
    unfinished = sweep.trial("0002")
    for epoch, miou in enumerate((0.1, 0.2, 0.3, 0.4), start=1):
        unfinished.append_record(record(epoch, miou))
    scheduler = asha(sweep)
    decide(scheduler, "0002", 5, 0.9)
    assert decide(scheduler, "0003", 1, 0.2) == "CONTINUE", "compared with epoch 1, not with epoch 5"
    assert decide(scheduler, "0004", 1, 0.05) == "STOP"


def test_an_unfinished_trial_counts_in_its_rungs_before_it_has_a_slot(sweep):
    sweep.trial("0002").append_record(record(1, 0.5))
    assert decide(asha(sweep), "0003", 1, 0.4) == "STOP"


def test_an_unfinished_trial_counts_once_in_a_rung(sweep):
    sweep.trial("0002").append_record(record(1, 0.5))
    scheduler = asha(sweep)
    decide(scheduler, "0002", 2, 0.6)
    assert scheduler._rule.rungs[0][1] == {"0002": 0.5}


def test_an_epoch_that_a_dead_worker_could_not_hand_over_reaches_its_rung(sweep):
    scheduler = asha(sweep)
    decide(scheduler, "0001", 1, 0.5)
    weak = Trial("0002")
    scheduler.on_trial_add(None, weak)
    sweep.trial("0002").append_record(record(1, 0.2))
    assert scheduler.on_trial_result(None, weak, {"epoch": 2, "best_score": 0.9, "record": None}) == "STOP"
    assert decide(scheduler, "0003", 1, 0.3) == "STOP", "compared with 0.5 and 0.2"


def test_the_epochs_of_a_trial_that_failed_count_in_its_rungs(sweep):
    scheduler = asha(sweep)
    failed = Trial("0001")
    scheduler.on_trial_add(None, failed)
    sweep.trial("0001").append_record(record(1, 0.5))
    scheduler.on_trial_complete(None, failed, {"epoch": 0, "best_score": math.nan})
    assert decide(scheduler, "0002", 1, 0.4) == "STOP"


@pytest.mark.parametrize("kind", ["asha", "median"])
def test_trials_are_compared_at_the_same_share_of_their_own_schedules(sweep, kind):
    scheduler = scheduler_of(kind, sweep)
    for number, score in enumerate((0.5, 0.5, 0.6, 0.6), start=1):
        for epoch in range(1, 4):
            decide(scheduler, f"000{number}", epoch, score if epoch == 3 else 0.1)
    # Its first epoch of three is worth the third of nine, and the first of nine of nobody.
    assert decide(scheduler, "0005", 1, 0.2, num_epochs=3) == "STOP"
    assert decide(scheduler, "0006", 1, 0.7, num_epochs=3) == "CONTINUE"
    assert decide(scheduler, "0007", 1, 0.1) == "CONTINUE", "a ninth is compared with the others' ninth"


def test_a_trial_that_passes_two_rungs_at_once_leaves_no_score_at_the_first(sweep):
    rule = scheduler_of("asha", sweep)._rule
    for epoch in range(1, 4):
        rule.on_trial_add(None, NamedTrial("0001"))
        rule.on_trial_result(None, NamedTrial("0001"), {"epoch": epoch, "share": epoch / 3, "best_score": 0.5})
    assert [(round(share, 6), sorted(scores)) for share, scores in rule.rungs] == [(0.111111, []), (0.333333, ["0001"])]


@pytest.mark.parametrize(
    ("first", "shares"), [(1 / 9, [1 / 9, 1 / 3]), (1 / 10, [0.1, 0.3, 0.9]), (1.0, []), (0.5, [0.5])]
)
def test_rungs_lie_before_the_end(first, shares):
    assert [share for share, _ in Rungs(first, 3.0, MIOU).rungs] == pytest.approx(shares)


def train(scheduler, trial_id, curve):
    """Train a trial to its end; returns the epoch at which it was stopped, or None."""
    for epoch, score in enumerate(curve[:-1], start=1):
        if decide(scheduler, trial_id, epoch, score) == "STOP":
            return epoch
    scheduler.on_trial_complete(None, Trial(trial_id), {"epoch": len(curve), "best_score": curve[-1]})
    return None


@pytest.mark.parametrize("kind", STOPPING)
def test_the_first_rung_is_learned_from_trials_that_run_to_their_ends(sweep, kind):
    scheduler = scheduler_of(kind, sweep, max_epochs=12, grace_epochs=None)
    # Until two thirds of the schedule, the ranks are those of the ends turned round.
    for number in range(1, 6):
        curve = [0.1 - 0.01 * number] * 7 + [0.2 + 0.1 * number] * 5
        assert train(scheduler, f"000{number}", curve) is None
        assert scheduler._rule.share == (None if number < 5 else pytest.approx(8 / 12))
    weak = [0.01] * 12
    stopped = [train(scheduler, f"{number:04d}", weak) for number in range(6, 14)]
    assert set(stopped) - {None}, "nobody is stopped"
    assert min(epoch for epoch in stopped if epoch) == 8


def test_trials_whose_early_ranks_mean_nothing_are_never_stopped(sweep):
    scheduler = scheduler_of("asha", sweep, max_epochs=12, grace_epochs=None)
    for number in range(1, 6):
        train(scheduler, f"000{number}", [0.1 - 0.01 * number] * 11 + [0.2 + 0.1 * number])
    assert scheduler._rule.share == 1.0
    assert [train(scheduler, f"{number:04d}", [0.01] * 12) for number in range(6, 12)] == [None] * 6


def test_a_resume_learns_the_same_rung_from_the_files(sweep):
    for number in range(1, 6):
        files = sweep.trial(f"000{number}")
        for epoch in range(1, 13):
            score = (0.1 - 0.01 * number) if epoch < 8 else 0.2 + 0.1 * number
            files.append_record(record(epoch, score))
        files.finish(Outcome(status="finished"))
    assert scheduler_of("asha", sweep, max_epochs=12, grace_epochs=None)._rule.share == pytest.approx(8 / 12)


def test_no_scheduler_stops_nobody(sweep):
    scheduler = scheduler_of("none", sweep)
    assert decide(scheduler, "0001", 1, 0.5) == "CONTINUE"
    assert decide(scheduler, "0002", 1, 0.1) == "CONTINUE"


@pytest.mark.parametrize("kind", [*STOPPING, "none"])
def test_a_trial_whose_slot_is_starting_takes_no_other_trials_slot(sweep, kind):
    scheduler = scheduler_of(kind, sweep)
    tune = SimpleNamespace(get_trials=lambda: [SimpleNamespace(status="PENDING")])
    assert scheduler.choose_trial_to_run(tune) is None


def test_median_stops_a_trial_that_is_below_the_median_of_three_others(sweep):
    scheduler = scheduler_of("median", sweep)
    for trial_id, miou in (("0000", 0.5), ("0001", 0.4), ("0002", 0.6)):
        assert decide(scheduler, trial_id, 1, miou) == "CONTINUE"
    assert decide(scheduler, "0003", 1, 0.45) == "STOP"
    assert decide(scheduler, "0004", 1, 0.55) == "CONTINUE"


@pytest.mark.parametrize("kind", STOPPING)
def test_a_baseline_that_is_the_worst_trains_on_epoch_by_epoch(sweep, kind):
    scheduler = scheduler_of(kind, sweep)
    for epoch in range(1, 9):
        for trial_id, score in (("0001", 0.5), ("0002", 0.6), ("0003", 0.7), ("0000", 0.1)):
            assert decide(scheduler, trial_id, epoch, score) == "CONTINUE" or trial_id != "0000"


def test_median_counts_the_trials_of_earlier_starts_and_neither_pauses_nor_counts_failures(sweep):
    for trial_id, miou in (("0000", 0.5), ("0001", 0.4), ("0002", 0.6)):
        sweep.trial(trial_id).append_record(record(1, miou))
    scheduler = scheduler_of("median", sweep)
    failed = Trial("0003")
    scheduler.on_trial_add(None, failed)
    scheduler.on_trial_complete(None, failed, {"epoch": 0, "best_score": math.nan})
    assert decide(scheduler, "0004", 1, 0.45) == "STOP"


def test_hyperband_gives_each_trial_one_bracket_for_good_and_lets_slow_starters_live(sweep):
    rule = scheduler_of("hyperband", sweep, max_epochs=9)._rule
    numbers = [f"{number:04d}" for number in range(300)]
    brackets = [rule.bracket(number) for number in numbers]
    assert sorted(set(brackets)) == [0, 1, 2]
    assert brackets == [scheduler_of("hyperband", sweep)._rule.bracket(number) for number in numbers]
    assert brackets.count(0) > brackets.count(1) > brackets.count(2) > 30, "cheap trials are many"
    # The rung of the last bracket would be the end.
    for bracket, first_rung in enumerate((1, 3, None)):
        scheduler = scheduler_of("hyperband", sweep)
        strong, weak = [f"{number:04d}" for number in range(1, 300) if brackets[number] == bracket][:2]
        for epoch in range(1, 10):
            decide(scheduler, strong, epoch, 0.9)
        stopped = next((epoch for epoch in range(1, 10) if decide(scheduler, weak, epoch, 0.1) == "STOP"), None)
        assert stopped == first_rung


def test_hyperband_of_one_epoch_has_one_bracket(sweep):
    rule = scheduler_of("hyperband", sweep, max_epochs=1)._rule
    assert {rule.bracket(f"{number:04d}") for number in range(50)} == {0}


def test_every_scheduler_that_stops_says_why_and_none_never_does():
    assert all(kind.verdict for name, kind in SCHEDULERS.items() if name != "none")
    assert not SCHEDULERS["none"].verdict


@pytest.mark.parametrize("kind", STOPPING)
@pytest.mark.parametrize(("name", "best", "worst"), [("val_miou", 0.9, 0.1), ("val_loss", 0.1, 0.9)])
def test_every_scheduler_stops_the_worst_and_spares_the_best_in_either_direction(sweep, kind, name, best, worst):
    scheduler = scheduler_of(kind, sweep, objective=find_objective(name))
    weak = {f"{number:04d}" for number in range(20, 30)}
    going = {"0001": best} | {f"{number:04d}": 0.5 for number in range(2, 20)} | dict.fromkeys(sorted(weak), worst)
    stopped = set()
    # Tune's rules end every trial at the last epoch, the ninth.
    for epoch in range(1, 9):
        stopped |= {trial for trial, score in going.items() if decide(scheduler, trial, epoch, score) == "STOP"}
        going = {trial: score for trial, score in going.items() if trial not in stopped}
    assert len(stopped & weak) >= 5
    assert "0001" not in stopped
