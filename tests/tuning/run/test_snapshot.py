"""A start reads what earlier starts left once."""

from collections import Counter
from pathlib import Path

import pytest
from fake_sweep import empty_sweep, record, write_repeats, write_trial

from segray.folder import Folder
from segray.goals import DEFAULT_GOALS
from segray.records import Outcome
from segray.tuning.run.early_stopping import EarlyStopping
from segray.tuning.run.snapshot import SweepSnapshot, num_ended
from segray.tuning.run.study import StudySearch
from segray.tuning.run.supervisor import best_so_far
from segray.tuning.run.wanted_repeats import Rules, standing, without_outcome
from segray.tuning.samplers import make_sampler
from segray.tuning.schedulers import StoppingSettings, find_scheduler


@pytest.fixture
def sweep(tmp_path):
    sweep = empty_sweep(tmp_path)
    for number in range(4):
        values = {"optim.lr": 0.001 * (number + 1)}
        trial = write_trial(sweep, f"{number:04d}", values, [0.4, 0.5], status=None)
        trial.write_values(values)
        trial.write_pointer("best", trial.pointer("last"))
        trial.finish(Outcome(status="finished", epochs=2, best_score=0.5))
    write_repeats(sweep, "0000", [0.51], epochs=2)
    return sweep.files


def space(trial):
    trial.suggest_float("optim.lr", 1e-4, 1e-1)


def test_every_part_of_a_start_reads_the_same_files_once(sweep, tmp_path, monkeypatch):
    reads = Counter()
    read_bytes = Folder.read_bytes

    def counting(folder, name):
        # Threads of earlier tests may still read other sweeps.
        if folder.path.startswith(sweep.folder.path):
            reads[f"{folder.path}/{name}"] += 1
        return read_bytes(folder, name)

    monkeypatch.setattr(Folder, "read_bytes", counting)
    earlier = SweepSnapshot(sweep.folder)

    assert num_ended(earlier) == 4
    assert num_ended(earlier, retry_failed=True) == 4
    assert len(without_outcome(earlier, standing(earlier, Rules(seed=0, num_seeds=2)).wanted)) >= 1
    assert best_so_far(earlier)[0] == 0.5
    settings = StoppingSettings(max_epochs=2, grace_epochs=1, reduction_factor=3)
    EarlyStopping(find_scheduler("asha").build(settings), sweep, earlier, 2)
    search = StudySearch(
        sweep, space, make_sampler("tpe", 0), [], Path(tmp_path, "x.db"), earlier, DEFAULT_GOALS, max_epochs=2
    )

    assert [trial.params["optim.lr"] for trial in search.study.trials] == pytest.approx([0.001, 0.002, 0.003, 0.004])
    assert {name: count for name, count in reads.items() if count > 1} == {}


def test_a_snapshot_does_not_see_what_comes_later(sweep):
    earlier = SweepSnapshot(sweep.folder)
    assert len(earlier.trials()) == 4
    assert len(earlier.trial("0000").records()) == 2
    sweep.trial("0000").append_record(record(3, 0.9))
    sweep.trial("0004").append_record(record(1, 0.1))
    assert len(earlier.trials()) == 4
    assert len(earlier.trial("0000").records()) == 2
    assert len(SweepSnapshot(sweep.folder).trials()) == 5
