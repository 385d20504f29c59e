import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from fake_sweep import empty_sweep, write_trial

from segray.cli import main
from segray.config import RunConfig, read_yaml, run_config
from segray.recipes import RECIPES


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["segray", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_help_loads_nothing_heavy():
    heavy = ("torch", "ray", "pydantic", "numpy", "pandas", "plotly")
    code = f"import sys, segray.cli; sys.exit(', '.join(name for name in {heavy} if name in sys.modules) or 0)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_config_prints_what_config_reads(tmp_path, monkeypatch, capsys):
    partial = tmp_path / "partial.yaml"
    partial.write_text("model: {encoder: resnet34}\n")
    assert run(monkeypatch, "config", str(partial)) == 0
    full = tmp_path / "full.yaml"
    full.write_text(capsys.readouterr().out)
    assert read_yaml(full) == RunConfig().with_values({"model.encoder": "resnet34"})


def test_config_prints_that_of_a_trial(tmp_path, monkeypatch, capsys):
    trial = write_trial(empty_sweep(tmp_path), "0002", {"optim.lr": 0.125}, [0.3], status=None)
    trial.write_pointer("best", trial.pointer("last"))
    assert run(monkeypatch, "config", "--from", str(tmp_path / "camvid"), "--trial", "0002") == 0
    full = tmp_path / "full.yaml"
    full.write_text(capsys.readouterr().out)
    assert read_yaml(full).flat() == trial_config(trial)
    assert run(monkeypatch, "config", str(full), "--from", str(tmp_path / "camvid")) == 2
    assert run(monkeypatch, "config", "--trial", "0002") == 2


def trial_config(trial):
    return run_config(trial.config()).flat()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["config", "missing.yaml"], "cannot read config file 'missing.yaml'"),
        (["predict", "runs/nothing", "photo.jpg"], "no model at"),
        (["confirm", "runs/nothing"], "no sweep at"),
        (["confirm", "runs/nothing", "--top", "0"], "--top must be at least 1, but got 0"),
    ],
)
def test_what_cannot_work_is_one_line_and_exit_code_2(monkeypatch, capsys, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: {policy: lihgt}", "did you mean 'light'"),
        ("data: {dataset: camvit}", "did you mean 'camvid'"),
        ("data: {crop_px: [0, 10]}", "data.crop_px.0"),
        ("data.policy: light", "must be nested in YAML, as data: {policy: ...}"),
        ("loss: {name: cross_entrpy+dice}", "did you mean 'cross_entropy'"),
        ("model: {encoder: resnet19}", "resnet18"),
        ("model: {arch: Linknet, encoder: mit_b0}", "mit_b0"),
    ],
)
def test_config_checks_what_it_completes(monkeypatch, capsys, tmp_path, text, message):
    file = tmp_path / "run.yaml"
    file.write_text(text)
    assert run(monkeypatch, "config", str(file)) == 2
    assert message in capsys.readouterr().err


def test_recipes_are_listed_with_data_set_and_model(monkeypatch, capsys):
    assert run(monkeypatch, "recipes") == 0
    rows = [line.split()[:3] for line in capsys.readouterr().out.splitlines()]
    assert ["kitti_fcn8s", "kitti_road", "fcn8s"] in rows
    assert ["sggan_pix2pix", "trainA", "pix2pix"] in rows
    assert set(RECIPES) <= {row[0] for row in rows if row}


def test_config_reads_what_recipes_show_prints(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, "recipes", "show", "kitti_fcn8s") == 0
    shown = tmp_path / "kitti.yaml"
    shown.write_text(capsys.readouterr().out)
    assert run(monkeypatch, "config", str(shown)) == 0
    full = tmp_path / "full.yaml"
    full.write_text(capsys.readouterr().out)
    assert read_yaml(full) == RECIPES["kitti_fcn8s"].config


def test_a_misspelt_recipe_exits_with_2(monkeypatch, capsys):
    assert run(monkeypatch, "recipes", "show", "carla_unt") == 2
    assert "did you mean 'carla_unet'" in capsys.readouterr().err


@pytest.fixture
def scenes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGRAY_CACHE", str(tmp_path / "cache"))
    assert run(monkeypatch, "data", "synth", "camvid", "scenes", "--train=3", "--val=2", "--size=32x64") == 0
    assert "segray data check camvid scenes" in capsys.readouterr().out
    return tmp_path / "scenes"


def test_what_synth_says_checks_what_it_drew(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "data", "synth", "folder", "my scenes", "--train=1", "--val=1", "--size=32x64") == 0
    command = capsys.readouterr().out.splitlines()[-1].removeprefix("check: segray ")
    assert run(monkeypatch, *shlex.split(command)) == 0
    assert "no problems; 2 of 2 images decoded" in capsys.readouterr().out


def test_check_exits_with_1_on_problems(scenes, monkeypatch, capsys):
    assert run(monkeypatch, "data", "check", "camvid", "scenes") == 0
    for photo in (scenes / "train").iterdir():
        photo.write_bytes(b"")
    capsys.readouterr()
    assert run(monkeypatch, "data", "check", "camvid", "scenes", "--json") == 1
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 3


def test_show_writes_a_picture(scenes, monkeypatch, capsys):
    options = ["--policy", "strong", "--set", "data.crop_px=[16, 32]", "-o", "grid.png"]
    assert run(monkeypatch, "data", "show", "camvid", "scenes", *options) == 0
    assert "wrote grid.png" in capsys.readouterr().out
    assert Path("grid.png").is_file()


def test_cache_says_where_it_is(scenes, monkeypatch, capsys):
    assert run(monkeypatch, "data", "cache", "camvid", "scenes") == 0
    (folder,) = scenes.parent.glob("cache/camvid-*/")
    assert f"5 images, 0.0 MB, in {folder}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "camvid", "nothing"], "does not exist"),
        (["check", "camvit", "scenes"], "did you mean 'camvid'"),
        (["check", "camvid", "scenes", "--set", "data.clases=11"], "did you mean 'data.classes'"),
        (["check", "camvid", "scenes", "--set", "classes=11"], "did you mean 'data.classes'"),
        (
            ["check", "camvid", "scenes", "--set", "data.root=elsewhere"],
            "--set cannot give data.root, which argument ROOT gives",
        ),
        (["check", "camvid", "scenes", "--set", "data.classes"], "must be KEY=VALUE"),
        (["check", "camvid", "scenes", "--set", "data.exclude=[a"], "must be YAML"),
        (["check", "camvid", "scenes", "--set", "data.holdout=2"], "data.holdout: input should be less than 1"),
        (["synth", "camvid", "new", "--size", "256"], "--size must be HEIGHTxWIDTH"),
        (["sample", "cityscapes", "scenes", "new", "--size", "0x8"], "at least 1, but got '0x8'"),
        (["synth", "camvid", "/dev/null/new"], "cannot be written to '/dev/null/new': /dev/null is no folder"),
        (["synth", "camvid", "/proc/new"], "cannot be written to '/proc/new'"),
        (["synth", "camvid", "scenes"], "exists; remove it or name another"),
        (["synth", "camvit", "new"], "did you mean 'camvid'"),
        (["show", "camvid", "scenes", "-o", "grid.gif"], "must end in"),
        (["cache", "camvid", "nothing"], "does not exist"),
    ],
)
def test_what_no_data_command_can_do_exits_with_2(scenes, monkeypatch, capsys, arguments, message):
    assert run(monkeypatch, "data", *arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("errors", "code"), [(["", ""], 0), (["", "disk full"], 1)])
def test_cache_on_every_node_exits_with_1_where_one_fails(scenes, monkeypatch, errors, code):
    from segray.cluster import node_cache

    built = [node_cache.NodeCache(node=f"node{number}", error=error) for number, error in enumerate(errors)]
    monkeypatch.setattr(node_cache, "build_on_every_node", lambda config: built)
    assert run(monkeypatch, "data", "cache", "camvid", "scenes", "--every-node") == code


def test_sample_writes_what_check_reads(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "data", "synth", "gta5", "scenes", "--train=6", "--val=2", "--test=2", "--size=32x64") == 0
    drawn = ["scenes", "drawn", "--train=4", "--test=2", "--size=32x48"]
    assert run(monkeypatch, "data", "sample", "gta5", *drawn) == 0
    assert "wrote 4 images to trainA and 2 to testA in drawn" in capsys.readouterr().out
    assert run(monkeypatch, "data", "check", "trainA", "drawn", "--json") == 0
    assert json.loads(capsys.readouterr().out)["sizes"] == [[[32, 48], 6]]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--help"], 0, "Usage: "),
        (["nonsense"], 2, "No such command"),
        (["results", "/nowhere"], 2, "error: no sweep at"),
    ],
)
def test_a_process_ends_with_the_commands_exit_code_and_all_its_output(arguments, code, said):
    ended = subprocess.run([sys.executable, "-m", "segray", *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert said in ended.stdout + ended.stderr
