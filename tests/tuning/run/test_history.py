"""What a resume knows of earlier starts, whatever became of study.db; and that no point is trained twice."""

import json
import tempfile
from pathlib import Path

import numpy as np
import optuna
import pytest
from fake_sweep import empty_sweep, record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from segray.config import RunConfig
from segray.errors import ConfigError, StorageError
from segray.goals import DEFAULT_GOALS
from segray.records import Outcome
from segray.tuning.points import identity
from segray.tuning.preflight.samples import draw_samples
from segray.tuning.run.progress import Progress
from segray.tuning.run.search import exhausted
from segray.tuning.run.study import StudySearch
from segray.tuning.samplers import make_sampler
from segray.tuning.space import CappedSpace


def space(trial):
    trial.suggest_categorical("data.crop_px", [(32, 48), (64, 96)])
    trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True)
    return {"train.batch_size": np.int64(4)}


def searcher(sweep, start=0, space=space, kind="tpe", first=(), said=None):
    database = Path(sweep.folder.path).parent / f"driver-{start}.db"
    announce = [].append if said is None else said.append
    return StudySearch(
        sweep,
        CappedSpace(space, 9),
        make_sampler(kind, start),
        first,
        database,
        sweep,
        DEFAULT_GOALS,
        announce,
        max_epochs=9,
    )


def begin(sweep, search, tune_id="a"):
    """What the driver and a slot do when a trial starts."""
    given = search.suggest(tune_id)
    sweep.trial(given["trial"]).write_values(given["values"])
    return given


def end(sweep, search, given, status="finished", miou=0.5, tune_id="a"):
    """What the supervisor and Tune do when a trial ends after an epoch."""
    files = sweep.trial(given["trial"])
    files.append_record(record(1, miou))
    files.finish(Outcome(status=status, epochs=1, best_score=miou))
    shown = None if status == "stopped" else status
    search.on_trial_complete(tune_id, {"record": record(1, miou), "best_score": miou, "status": shown})


@pytest.fixture
def sweep(tmp_path):
    return empty_sweep(tmp_path).files


@pytest.fixture
def begun(sweep):
    """Three trials: one finished, one stopped, one that has completed two epochs and goes on."""
    search = searcher(sweep)
    trials = []
    for status in ("finished", "stopped", None):
        trials.append(begin(sweep, search, str(status)))
        if status:
            end(sweep, search, trials[-1], status, tune_id=status)
    for epoch in (1, 2):
        sweep.trial("0002").append_record(record(epoch, epoch / 10))
    return trials


def lose(sweep):
    sweep.folder.delete("study.db")


def empty(sweep):
    sweep.folder.write_bytes("study.db", b"")


def truncate(sweep):
    content = sweep.folder.read_bytes("study.db")
    sweep.folder.write_bytes("study.db", content[: len(content) // 2])


def scribble(sweep):
    sweep.folder.write_bytes("study.db", b"no database " * 1000)


def take_another_sweeps(sweep):
    """One of the same name, as after a copy to the wrong place."""
    with tempfile.TemporaryDirectory() as folder:
        other = empty_sweep(folder).files
        search = searcher(other, start=7)
        for number in range(5):
            end(other, search, begin(other, search, str(number)), tune_id=str(number))
        sweep.folder.write_bytes("study.db", other.folder.read_bytes("study.db"))


def take_one_of_another_name(sweep):
    with tempfile.TemporaryDirectory() as folder:
        other = empty_sweep(folder, "other").files
        begin(other, searcher(other))
        sweep.folder.write_bytes("study.db", other.folder.read_bytes("study.db"))


def take_an_older_copy(sweep):
    with tempfile.TemporaryDirectory() as folder:
        copy = empty_sweep(folder).files
        search = searcher(copy)
        copy.folder.write_bytes("study.db", search._file.content([]))
        begin(copy, search)
        sweep.folder.write_bytes("study.db", copy.folder.read_bytes("study.db"))


DAMAGES = [lose, empty, truncate, scribble, take_another_sweeps, take_one_of_another_name, take_an_older_copy]


def keep(sweep):
    pass


@pytest.mark.parametrize("damage", [keep, *DAMAGES])
def test_a_resume_knows_every_trial_whatever_became_of_the_study(sweep, begun, damage):
    damage(sweep)
    said = []
    resumed = searcher(sweep, 1, said=said)
    trials = resumed.study.trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING]
    assert [{**trial.params, "train.batch_size": 4} for trial in trials] == [trial["values"] for trial in begun]
    assert trials[0].value == 0.5
    assert trials[1].intermediate_values == {1: 0.5}
    assert trials[2].intermediate_values == {1: 0.1, 2: 0.2}
    assert resumed.suggest("x") == begun[2]
    assert resumed.suggest("y")["trial"] == "0003"
    assert [line.startswith("study.db ") and line.endswith("rebuilt from the files of 3 trials") for line in said] == [
        True
    ] * (damage is not keep)


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_rebuilt_study_is_in_the_sweeps_folder(sweep, begun, damage):
    damage(sweep)
    searcher(sweep, 1).suggest("x")
    study = optuna.load_study(study_name=sweep.name, storage=f"sqlite:///{sweep.folder.path}/study.db")
    assert [trial.params["data.crop_px"] for trial in study.trials] == [
        trial["values"]["data.crop_px"] for trial in begun
    ]


@pytest.mark.parametrize("content", [None, b"", b"[1]"])
def test_trials_without_values_are_read_from_their_config(sweep, begun, content):
    lose(sweep)
    for trial in begun:
        files = sweep.trial(trial["trial"])
        files.write_config(RunConfig().with_values(trial["values"]))
        files.folder.delete("values.json")
        if content is not None:
            files.folder.write_bytes("values.json", content)
    resumed = searcher(sweep, 1)
    assert [trial.params["optim.lr"] for trial in resumed.study.trials] == [
        trial["values"]["optim.lr"] for trial in begun
    ]
    assert resumed.suggest("x") == begun[2]


def test_a_trial_whose_values_are_lost_is_named_and_its_number_is_not_given_again(sweep, begun):
    lose(sweep)
    sweep.trial("0002").folder.delete("values.json")
    said = []
    resumed = searcher(sweep, 1, said=said)
    assert [line[:10] for line in said] == ["study.db w", "trial 0002"]
    assert resumed.suggest("x")["trial"] == "0003"


def test_values_that_only_the_study_has_are_used(sweep, begun):
    sweep.trial("0002").folder.delete("values.json")
    assert searcher(sweep, 1).suggest("x") == begun[2]


def test_a_sweep_that_an_earlier_version_began_goes_on(sweep):
    """Its study holds lists as choices, first trials that had no turn yet, and a trial that was proposed."""
    first = [{"data.crop_px": [64, 96], "optim.lr": lr} for lr in (1e-3, 2e-3, 3e-3)]
    storage = f"sqlite:///{sweep.folder.path}/study.db"
    study = optuna.create_study(study_name=sweep.name, storage=storage, direction="maximize")
    for point in first:
        study.enqueue_trial(point)
    for _ in range(2):
        trial = study.ask()
        trial.suggest_categorical("data.crop_px", [[32, 48], [64, 96]])
        trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True)
    sweep.trial("0000").write_values({**first[0], "train.batch_size": 4})
    sweep.trial("0000").finish(Outcome(status="finished", best_score=0.5))
    said = []
    resumed = searcher(sweep, 1, first=first, said=said)
    assert said == []
    assert [begin(sweep, resumed, name)["values"]["optim.lr"] for name in "ab"] == [2e-3, 3e-3]
    assert [trial.state.name for trial in resumed.study.trials] == ["COMPLETE", "RUNNING", "RUNNING"]


def test_a_gap_in_the_numbers_stays_one(sweep, begun):
    lose(sweep)
    sweep.trial("0001").folder.delete()
    resumed = searcher(sweep, 1)
    assert [trial.state.name for trial in resumed.study.trials] == ["COMPLETE", "FAIL", "RUNNING"]
    assert resumed.suggest("x") == begun[2]


def test_a_number_far_beyond_the_others_is_refused_in_no_time(sweep, begun):
    sweep.trial("20261129").write_values({})
    with pytest.raises(StorageError, match=r"20261129' is one of 4; move it elsewhere"):
        searcher(sweep, 1)


def test_an_id_whose_folder_exists_is_never_handed_out_anew(sweep):
    search = searcher(sweep)
    sweep.trial("0000").write_values({"optim.lr": 0.5})
    with pytest.raises(StorageError, match=r"trial 0000 must be new, but .* continue with --resume"):
        search.suggest("a")


def test_first_trials_that_had_no_turn_are_run_after_a_resume(sweep):
    first = [{"data.crop_px": (64, 96), "optim.lr": lr} for lr in (1e-3, np.float64(2e-3), 3e-3)]
    begin(sweep, searcher(sweep, first=first))
    lose(sweep)
    resumed = searcher(sweep, 1, first=first)
    assert [begin(sweep, resumed, name)["values"]["optim.lr"] for name in "abc"] == [1e-3, 2e-3, 3e-3]


def test_a_first_trial_given_twice_is_run_once(sweep):
    point = {"data.crop_px": [64, 96], "optim.lr": 1e-3}
    search = searcher(sweep, first=[point, point, {**point, "optim.lr": 2e-3}])
    assert [begin(sweep, search, name)["values"]["optim.lr"] for name in "ab"] == [1e-3, 2e-3]


def six(trial):
    trial.suggest_categorical("model.arch", ["Unet", "FPN"])
    trial.suggest_int("model.depth", 3, 5)


@pytest.mark.parametrize(("kind", "status"), [("tpe", "finished"), ("random", "out_of_memory")])
def test_a_space_is_gone_through_once_over_all_starts(sweep, kind, status):
    seen = []
    for start in range(3):
        search = searcher(sweep, start, six, kind)
        for number in range(3):
            if search.suggest(str(number)) == search.FINISHED:
                break
            given = {"trial": f"{len(seen):04d}", "values": search.study.trials[-1].params}
            sweep.trial(given["trial"]).write_values(given["values"])
            seen.append(identity(given["values"]))
            end(sweep, search, given, status, tune_id=str(number))
    assert len(seen) == len(set(seen)) == 6
    assert search.num_combinations == 6


def test_a_space_is_not_called_exhausted_while_it_has_points(sweep):
    search = searcher(sweep, space=six)
    for number in range(6):
        assert search.suggest(str(number)) != search.FINISHED
        assert search.num_combinations is None
    assert search.suggest("6") == search.FINISHED


def test_the_samplers_first_proposals_are_those_of_optuna_itself(sweep):
    search = searcher(sweep, 3)
    study = optuna.create_study(sampler=make_sampler("tpe", 3))
    for number in range(5):
        trial = study.ask()
        trial.suggest_categorical("data.crop_px", ["small", "large"])
        assert search.suggest(str(number))["values"]["optim.lr"] == trial.suggest_float(
            "optim.lr", 1e-4, 1e-2, log=True
        )


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(-2, 2, width=32),
    st.text(max_size=3),
    st.integers(-5, 5).map(np.int16),
    st.floats(-2, 2, width=32).map(np.float32),
    st.sampled_from(["Unet", "FPN"]).map(np.str_),
)
choices = st.lists(st.one_of(scalars, st.lists(scalars, max_size=2).map(tuple)), min_size=1, max_size=4)
ints = st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 2))
floats = st.tuples(st.floats(0, 1), st.floats(0, 1).map(np.float64), st.sampled_from([None, 0.25]))
keys = st.one_of(
    choices.map(lambda value: ("categorical", value)),
    ints.map(lambda value: ("int", value)),
    floats.map(lambda value: ("float", value)),
)
spaces = st.lists(st.tuples(keys, st.booleans()), min_size=1, max_size=3)


def space_of(keys):
    """A space of keys a, b, c, of which those marked are only drawn after an even number of keys."""

    def space(trial):
        for name, ((kind, value), optional) in zip("abc", keys, strict=False):
            if optional and len(trial.params) % 2:
                continue
            if kind == "categorical":
                trial.suggest_categorical(name, value)
            elif kind == "int":
                trial.suggest_int(name, min(value[:2]), max(value[:2]), step=value[2])
            else:
                trial.suggest_float(name, min(value[:2]), max(value[:2]), step=value[2])
        return {"d": (np.int64(1), 2)}

    return space


@pytest.mark.filterwarnings("ignore:The distribution is specified by")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("num_spaces", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_whatever_space_preflight_accepts_can_be_resumed(num_spaces):
    damages, kinds = st.sampled_from([keep, lose, truncate, scribble]), st.sampled_from(["tpe", "random"])
    several = settings(max_examples=num_spaces, deadline=None, suppress_health_check=list(HealthCheck))
    several(given(keys=spaces, damage=damages, kind=kinds)(check_space))()


def check_space(keys, damage, kind):
    space = space_of(keys)
    try:
        draw_samples(CappedSpace(space, 9))
    except ConfigError:
        return
    with tempfile.TemporaryDirectory() as folder:
        sweep = empty_sweep(folder).files
        seen = {}
        for start in range(3):
            search = searcher(sweep, start, space, kind)
            for number, status in enumerate(("finished", "stopped", None)):
                proposed = search.suggest(str(number))
                if proposed == search.FINISHED:
                    assert len(seen) == search.num_combinations
                    return
                assert json.loads(json.dumps(proposed)) == proposed
                assert seen.setdefault(proposed["trial"], proposed["values"]) == proposed["values"]
                sweep.trial(proposed["trial"]).write_values(proposed["values"])
                if status:
                    end(sweep, search, proposed, status, tune_id=str(number))
            assert list(seen) == [f"{number:04d}" for number in range(len(seen))]
            assert len({json.dumps(values) for values in seen.values()}) == len(seen)
            damage(sweep)


@pytest.mark.parametrize(("total", "of_total"), [(16, " of 16"), (None, "")])
def test_an_exhausted_space_is_one_line(total, of_total):
    line = exhausted(6, Progress(total=total, slots=1, deadline=None, done=6))
    assert line == f"all 6 combinations of the search space have been tried; 6{of_total} trials were run"
