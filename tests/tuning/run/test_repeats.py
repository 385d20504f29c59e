"""How repeats are announced and handed out to Ray Tune, round by round."""

from types import SimpleNamespace

import fake_sweep
import pytest

from segray.config import RunConfig
from segray.records import Outcome
from segray.storage import Repeat
from segray.tuning.run.progress import Progress
from segray.tuning.run.repeats import ListSearch, Rounds, describe_repeats
from segray.tuning.run.retries import Retries
from segray.tuning.run.wanted_repeats import Rules, standing

SCORES = {"0000": 0.30, "0001": 0.40, "0002": 0.401, "0003": 0.36}


def write_trial(sweep, trial_id, miou, status="finished", **values):
    trial = fake_sweep.write_trial(sweep, trial_id, values, [miou], status=None)
    trial.write_pointer("best", trial.pointer("last"))
    trial.finish(Outcome(status=status))


@pytest.fixture
def sweep(tmp_path):
    """Trial 0001 is the best; all but the first one train 7 epochs."""
    sweep = fake_sweep.empty_sweep(tmp_path)
    write_trial(sweep, "0000", 0.3, **{"train.epochs": 5})
    write_trial(sweep, "0001", 0.41, **{"train.epochs": 7, "optim.lr": 0.02})
    return sweep


def described(sweep, num_missing, **rules):
    rules = Rules(seed=0, **rules)
    return describe_repeats(sweep.files, standing(sweep.files, rules), rules, num_missing)


@pytest.mark.parametrize(
    ("changes", "num_seeds", "num_missing", "line"),
    [
        ({}, 3, 6, "repeats: trial 0001 and the first trial, 3 seeds each, 7 epochs"),
        ({"recipe": "fcn"}, 1, 2, "repeats: trial 0001 and recipe fcn, 1 seed each, 7 epochs"),
        ({}, 3, 2, "repeats: trial 0001 and the first trial, 3 seeds each, 7 epochs; 4 of 6 have ended already"),
    ],
)
def test_what_is_about_to_be_repeated_is_one_line(sweep, changes, num_seeds, num_missing, line):
    sweep.files.folder.write_json("sweep.json", fake_sweep.info(**changes).model_dump(mode="json"))
    assert described(sweep, num_missing, num_seeds=num_seeds) == line


def test_the_line_says_why_one_trial_alone_is_repeated(sweep):
    write_trial(sweep, "0000", 0.5, **{"train.epochs": 1})
    assert described(sweep, 2, num_seeds=2) == "repeats: the first trial, which is the best, 2 seeds, 1 epoch"
    write_trial(sweep, "0000", 0.3, status="failed")
    alone = "trial 0001 (the first trial failed, and is not repeated)"
    assert described(sweep, 2, num_seeds=2) == f"repeats: {alone}, 2 seeds, 7 epochs"


def test_the_line_of_a_race_names_all_contestants(sweep):
    line = "race: trial 0001 and the first trial (no other has finished), up to 5 seeds each, 7 epochs"
    assert described(sweep, 4, num_seeds=5, top=3) == line
    write_trial(sweep, "0002", 0.40, **{"train.epochs": 9})
    line = "race: trial 0001, trial 0002 and the first trial, up to 5 seeds each, 7 to 9 epochs"
    assert described(sweep, 6, num_seeds=5, top=3) == line


def test_the_searcher_asks_for_more_when_all_its_runs_have_ended():
    rounds = [[], [("c", {})], [("a", {"seed": 1}), ("b", {"seed": 2})]]
    search = ListSearch(rounds.pop)
    assert [search.suggest(str(number)) for number in range(3)] == [
        {"trial": "a", "values": {"seed": 1}},
        {"trial": "b", "values": {"seed": 2}},
        None,
    ]
    search.on_trial_complete("1", {})
    assert search.suggest("3") is None
    search.on_trial_complete("0", error=True)
    assert search.suggest("4")["trial"] == "c"
    search.on_trial_complete("4", {})
    assert search.suggest("5") == search.FINISHED


class MadeTune:
    """A start that trains repeats as Ray Tune would, without Ray; each has its trial's score and noise by seed."""

    def __init__(self, sweep, slots=2):
        self.sweep, self.slots, self.said, self.trained = sweep, slots, [], []
        rules = Rules(seed=0, num_seeds=5, top=3)
        self.progress = Progress(total=None, slots=slots, deadline=None, what="repeat")
        shared = SimpleNamespace(
            files=sweep.files,
            checked=SimpleNamespace(base=RunConfig().with_values(sweep.info.base)),
            view=SimpleNamespace(say=self.said.append),
        )
        rounds = Rounds(shared, rules, self.progress)
        self.search = Retries(ListSearch(rounds.next_runs), sweep.files)

    def run(self, num_ends=99):
        """Run until the race is over, or the driver is killed after so many ends."""
        running, num_asked = [], 0
        while num_ends:
            while len(running) < self.slots:
                num_asked += 1
                proposal = self.search.suggest(f"tune{num_asked}")
                if not isinstance(proposal, dict):
                    break
                running.append((f"tune{num_asked}", proposal["trial"]))
            if not running:
                break
            # The later one of two ends first.
            self.end(*running.pop())
            num_ends -= 1
        return self

    def end(self, tune_id, repeat_id):
        repeat = Repeat.parse(repeat_id)
        noise = 0.004 * ((3 * repeat.seed + 5 * int(repeat.trial)) % 7 - 3) / 3
        fake_sweep.write_trial(self.sweep, repeat_id, {}, [SCORES[repeat.trial] + noise])
        self.trained.append(repeat_id)
        self.progress.done += 1
        self.search.on_trial_complete(tune_id, {})


@pytest.fixture
def raced(sweep):
    write_trial(sweep, "0002", 0.405, **{"train.epochs": 7})
    write_trial(sweep, "0003", 0.400, **{"train.epochs": 7})
    return sweep


def test_a_race_trains_round_by_round_and_says_who_leaves(raced):
    start = MadeTune(raced).run()
    assert len(start.trained) == len(set(start.trained)) == start.progress.total
    assert [line.split(" (p")[0] for line in start.said] == [
        "trial 0003 leaves the race: clearly worse than the best after 2 seeds",
        "trial 0000 leaves the race: clearly worse than the best after 2 seeds",
    ]
    # The two that are left are too alike, and train with all seeds.
    assert {repeat.trial for repeat in raced.files.repeats() if repeat.seed == 5} == {"0001", "0002"}
    assert MadeTune(raced).run().trained == []


@pytest.mark.parametrize("num_ends", [1, 8, 9])
def test_a_resume_of_a_race_trains_what_an_unbroken_one_would_have(raced, tmp_path, num_ends):
    first = MadeTune(raced).run(num_ends)
    second = MadeTune(raced).run()
    other = fake_sweep.empty_sweep(tmp_path / "other")
    for trial, miou in (("0000", 0.3), ("0001", 0.41), ("0002", 0.405), ("0003", 0.4)):
        write_trial(other, trial, miou, **{"train.epochs": 7})
    unbroken = MadeTune(other).run()
    assert sorted(first.trained + second.trained) == sorted(unbroken.trained)
    assert second.said == unbroken.said


def test_more_slots_than_contestants_train_several_seeds_at_once(raced):
    start = MadeTune(raced, slots=8)
    assert len([start.search.suggest(str(number)) for number in range(8)]) == 8
    assert start.progress.total == 20
