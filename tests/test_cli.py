import subprocess
import sys

import pytest

from segray.cli import main
from segray.config import RunConfig, read_yaml


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["config", "missing.yaml"], "cannot read config file 'missing.yaml'"),
        (["predict", "runs/nothing", "photo.jpg"], "no sweep at"),
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
