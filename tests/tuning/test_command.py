import sys

import pytest

from segray.config import RunConfig
from segray.tuning import command
from segray.tuning.sweep import Sweep

SWEEP = Sweep(name="test", base=RunConfig().with_values({"data.root": "drawn"}), space=lambda trial: None, trials=1)


@pytest.fixture
def call(monkeypatch):
    """Call a study's command line; returns what it did, in order."""
    done = []
    monkeypatch.setattr(command, "run_sweep", lambda sweep: done.append(f"run on {sweep.base.data.root}"))
    monkeypatch.setattr(command, "_conclude", lambda files, location: 0)
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
