"""The sweep that a study file asks for, without a run."""

from pathlib import Path

import optuna
import pytest

from segray.errors import ConfigError
from segray.tuning.study_file import asked_sweep

STUDY = Path(__file__).with_name("tiny_study.py")
HEAD = "from segray import RunConfig, Sweep, main\n"


@pytest.fixture
def study(tmp_path):
    def write(text, head=HEAD):
        (tmp_path / "study.py").write_text(head + text)
        return tmp_path / "study.py"

    return write


def test_options_are_those_of_the_studys_own_command():
    asked = asked_sweep(STUDY, ["--data", "root", "--trials", "7", "--set", "train.ema_decay=0.5"])
    assert (asked.sweep.name, asked.sweep.trials, asked.make_data) == ("tiny", 7, None)
    assert (asked.sweep.base.data.root, asked.sweep.base.train.ema_decay) == ("root", 0.5)
    trial = optuna.create_study().ask()
    asked.sweep.space(trial)
    assert set(trial.params) == {"loss.name", "optim.lr"}


def test_a_study_may_make_its_data_import_its_neighbours_and_name_its_sweep_as_it_likes(study, tmp_path):
    (tmp_path / "neighbour_of_a_study.py").write_text("def space(trial):\n    pass\n")
    path = study(
        "from neighbour_of_a_study import space\n"
        "def made(): return 'made'\n"
        "if __name__ == '__main__':\n"
        "    main(Sweep(name='odd', base=RunConfig(), space=space, trials=1), make_data=made)\n"
    )
    asked = asked_sweep(path, [])
    assert (asked.sweep.name, asked.make_data()) == ("odd", "made")
    assert asked_sweep(path, ["--data", "mine"]).make_data is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SWEEP = 1\n", "must end in main\\(SWEEP\\)"),
        ("x = 1 +\n", r"SyntaxError: invalid syntax \(.*study.py, line 2\)"),
        ("\nx = {}['key']\n", r"KeyError: 'key' \(.*study.py, line 3\)"),
        ("main(Sweep(name='s', base=RunConfig(), space=print, trials=1, batch=2))\n", "TypeError.*'batch'.*line 2"),
    ],
)
def test_a_mistake_in_the_study_is_named_with_its_line(study, text, message):
    with pytest.raises(ConfigError, match=message):
        asked_sweep(study(text), [])


def test_a_missing_study_and_a_wrong_option_are_refused(tmp_path, capsys):
    with pytest.raises(ConfigError, match="there is no file"):
        asked_sweep(tmp_path / "none.py", [])
    with pytest.raises(SystemExit) as ended:
        asked_sweep(STUDY, ["--data", "root", "--trails", "7"])
    assert ended.value.code == 2
    assert "--trials" in capsys.readouterr().err
