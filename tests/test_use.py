"""The walk in docs/use.md: each of its commands runs as it is printed, one after the other, and leaves what it says."""

import contextlib
import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import av
import numpy as np
import onnxruntime
import pytest
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling
from PIL import Image

import segray

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1800)]

official = evalPixelLevelSemanticLabeling
ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/use.md").read_text()
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
NUM_VAL = 60


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """A folder in which all commands ran, and the output of each command."""
    folder = tmp_path_factory.mktemp("walk")
    (folder / "sweeps").symlink_to(ROOT / "sweeps")
    binaries = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SEGRAY_CACHE": str(folder / "cache"),
    }
    said = {}
    for command in COMMANDS:
        ended = subprocess.run(
            command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
        said[command] = ended.stdout
    return folder, said


def output_of(said, start):
    (output,) = [output for command, output in said.items() if command.startswith(start)]
    return output


def test_every_command_ran(walk):
    _, said = walk
    assert len(said) == len(COMMANDS) >= 15
    assert "runs/demo" in output_of(said, "python sweeps/demo_search.py")
    assert re.search(r"val mIoU [\d.]+\s%", output_of(said, "segray evaluate runs/demo"))
    assert "eager" in output_of(said, "segray bench")


def test_the_python_lines_of_the_page_run(walk, monkeypatch):
    folder, _ = walk
    monkeypatch.chdir(folder)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})
    assert printed.getvalue().startswith("(96, 192) {'")


def test_predictions_are_those_of_the_model_and_of_its_export(walk):
    folder, _ = walk
    overlays, ids = (sorted((folder / f"predictions/{kind}").rglob("*.png")) for kind in ("overlay", "label_ids"))
    assert (len(overlays), len(ids)) == (NUM_VAL, NUM_VAL)
    again = sorted((folder / "again/overlay").rglob("*.png"))
    assert [path.name for path in again] == [path.name for path in overlays]
    assert all(one.read_bytes() == other.read_bytes() for one, other in zip(again, overlays, strict=True))
    assert len(list((folder / "smooth/overlay").rglob("*.png"))) == NUM_VAL
    (photo,) = (folder / "data/synthetic").rglob(ids[0].name)
    expected = segray.load_model(folder / "runs/demo").predict(photo).label_ids()
    assert (np.asarray(Image.open(ids[0])) == expected).mean() > 0.999


def test_the_official_script_scores_the_submission_as_evaluate_does(walk, tmp_path, monkeypatch):
    folder, said = walk
    monkeypatch.setattr(official.args, "evalInstLevelScore", False)  # drawn scenes have no instance ids
    with zipfile.ZipFile(folder / "val.zip") as archive:
        archive.extractall(tmp_path)
    found = {path.name: path for path in tmp_path.rglob("*.png")}
    assert len(found) == NUM_VAL
    confusion = official.generateMatrix(official.args)
    truths = sorted((folder / "data/synthetic/gtFine/val").rglob("*_labelIds.png"))
    for truth in truths:
        stem = truth.name.removesuffix("_gtFine_labelIds.png")
        (prediction,) = [path for name, path in found.items() if name.startswith(stem)]
        official.evaluatePair(str(prediction), str(truth), confusion, {}, {}, official.args)
    by_name = official.name2label
    iou = {name: official.getIouScoreForLabel(by_name[name].id, confusion, official.args) for name in ("road", "sky")}
    table = output_of(said, "segray evaluate runs/demo --split val")
    for name, value in iou.items():
        shown = float(re.search(rf"^{name}\s+([\d.]+)", table, re.MULTILINE)[1])
        assert shown == pytest.approx(100 * value, abs=0.051)


def test_the_videos_play_and_show_what_they_should(walk):
    folder, _ = walk
    with av.open(folder / "drive.mp4") as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 12
    assert max(frame.std() for frame in frames) > 20
    with Image.open(folder / "rain.gif") as gif:
        assert gif.n_frames == 12


def test_the_onnx_file_predicts_as_the_model_does(walk):
    folder, _ = walk
    photo = next((folder / "data/synthetic/leftImg8bit/val").rglob("*.png"))
    photos = np.asarray(Image.open(photo).convert("RGB")).transpose(2, 0, 1)[None]
    session = onnxruntime.InferenceSession(folder / "demo.onnx", providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"photos": np.ascontiguousarray(photos)})
    expected = segray.load_model(folder / "runs/demo").predict(photo).labels
    assert (logits[0].argmax(0) == expected).mean() > 0.99


def test_a_run_on_all_data_says_that_no_figure_is_unbiased(walk):
    folder, _ = walk
    ended = subprocess.run(
        [sys.executable, "-m", "segray", "results", "runs/demo-all"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "unbiased" in ended.stdout
