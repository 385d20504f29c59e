"""ONNX and torch.export files: each agrees with PyTorch, says what it needs, and is refused where it does not agree."""

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from every_model import SMP_CONFIGS, UNET_CONFIGS
from model_run import LABEL_SPACE, settled, write_run
from PIL import Image
from typer.testing import CliRunner

import segray
from segray.cli import app
from segray.errors import ConfigError, DataError
from segray.inference.export import graph as graphs
from segray.inference.export.comparison import Reference, check, compare
from segray.inference.export.graph import GraphOptions, ModelGraph, SymbolicPool
from segray.inference.export.onnx_file import open_session, run_session
from segray.inference.export.trace import METADATA_FILE, open_pt2, to_pt2, trace
from segray.models import build_model

UPERNET = next(config for config in SMP_CONFIGS if config.arch == "UPerNet")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    write_run(root, UNET_CONFIGS[1], **{"data.resize_px": [40, 60]})
    return root / "street"


def command(*arguments):
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def photo_of(run, size_px):
    with Image.open(next((run / "samples").glob("*_photo.png"))) as photo:
        return np.array(photo.convert("RGB").resize(size_px[::-1]))


def as_batch(photo_HWC):
    return np.ascontiguousarray(photo_HWC.transpose(2, 0, 1)[None])


@pytest.mark.parametrize("bins", [(1, 2), (2, 2), (3, 3), (6, 6), (4, 7)])
@pytest.mark.parametrize("size_px", [(5, 9), (12, 8), (3, 3), (1, 2)])
def test_pools_of_symbolic_sizes_pool_as_pytorch_does(seeded, bins, size_px):
    x_BCHW = torch.randn(2, 3, *size_px)
    torch.testing.assert_close(SymbolicPool(bins)(x_BCHW), torch.nn.AdaptiveAvgPool2d(bins)(x_BCHW))


def test_a_graph_with_everything_inside_labels_photos_of_any_size_as_the_predictor_does(run, tmp_path):
    ended = command(run, "--to", tmp_path / "model.onnx", "--resize", "--argmax", "--json")
    assert ended.exit_code == 0, ended.output
    [file] = json.loads(ended.stdout)["files"]
    assert file["size_px"] is None
    assert len({tuple(found["size_px"]) for found in file["agreements"]}) >= 5
    session = open_session((tmp_path / "model.onnx").read_bytes())
    model = segray.load_model(run)
    for size_px in ((120, 160), (55, 91), (30, 30)):
        photo = photo_of(run, size_px)
        labels_HW = run_session(session, as_batch(photo))[0]
        assert labels_HW.dtype == np.uint8
        assert (labels_HW == model.predict(photo).labels).mean() >= 0.999


def test_the_file_says_what_it_takes_and_gives(run, tmp_path):
    ended = command(run, "--to", tmp_path / "model.onnx")
    assert ended.exit_code == 0, ended.output
    assert "for photos of any size" in ended.stdout
    assert "resize photos to 40x60 px before" in ended.stdout
    facts = {prop.key: prop.value for prop in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert tuple(json.loads(facts["segray.classes"])) == LABEL_SPACE.names
    assert tuple(map(tuple, json.loads(facts["segray.colors"]))) == LABEL_SPACE.colors
    assert facts["segray.inside"] == "normalisation, padding"
    assert "40x60" in facts["segray.input"]
    assert json.loads(facts["segray.normalisation"])["mean"] == [0.485, 0.456, 0.406]


def test_fixed_sizes_are_files_of_their_own_and_free_in_the_batch(run, tmp_path):
    ended = command(run, "--to", tmp_path / "model.pt2", "--size", "40x60,33x47", "--size", "33x47")
    assert ended.exit_code == 0, ended.output
    assert "trained on photos of 40x60 px, so its labels at 33x47 may be worse" in ended.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model-33x47.pt2", "model-40x60.pt2"]
    forward = open_pt2((tmp_path / "model-33x47.pt2").read_bytes())
    assert forward(np.zeros((4, 3, 33, 47), np.uint8)).shape == (4, LABEL_SPACE.num_classes, 33, 47)


def test_a_trace_holds_for_any_size_and_carries_its_metadata(seeded, tmp_path):
    photo_BCHW = torch.randint(0, 256, (1, 3, 97, 131), dtype=torch.uint8)
    model = settled(build_model(UNET_CONFIGS[1], 5), photo_BCHW.float())
    program = trace(ModelGraph(model, GraphOptions(), resize_px=None, free_size=True), None)
    content = to_pt2(program, {"a": "b"})
    sizes_px = [(101, 135), (202, 270), (64, 96), (37, 51)]
    found = compare(open_pt2(content), Reference(model, None), [photo_BCHW.numpy()], [(2, size) for size in sizes_px])
    assert all(agreement.is_good for agreement in found), found
    extra = {METADATA_FILE: ""}
    (tmp_path / "model.pt2").write_bytes(content)
    torch.export.load(tmp_path / "model.pt2", extra_files=extra)
    assert json.loads(extra[METADATA_FILE]) == {"a": "b"}


def test_a_free_size_that_does_not_agree_is_refused(seeded, monkeypatch):
    """Freeze the pools' sizes, as tracing does without SymbolicPool."""

    class Frozen(SymbolicPool):
        def forward(self, x_BCHW):
            rows, columns = (max(int(side) // bins, 1) for side, bins in zip((4, 5), self.output_px, strict=True))
            pooled = torch.nn.functional.avg_pool2d(x_BCHW, (rows, columns), ceil_mode=True)
            return pooled[..., : self.output_px[0], : self.output_px[1]]

    photo_BCHW = torch.randint(0, 256, (1, 3, 97, 131), dtype=torch.uint8)
    model = settled(build_model(UPERNET, 5), photo_BCHW.float())
    monkeypatch.setattr(graphs, "SymbolicPool", Frozen)
    graph = ModelGraph(model, GraphOptions(), resize_px=None, free_size=True)

    def run(photos_BCHW):
        return graph(torch.from_numpy(photos_BCHW)).detach().numpy()

    found = compare(run, Reference(model, None), [photo_BCHW.numpy()], [(1, (202, 270))])
    with pytest.raises(ConfigError, match=r"at 202x270 px labels agree on .*; export fixed sizes with --size HxW"):
        check(found, what="an export for any size", fix="export fixed sizes with --size HxW")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (lambda logits: logits + 1, "logits differ"),
        (lambda logits: -logits, "labels agree on"),
        (lambda logits: np.full_like(logits, np.nan), "labels agree on"),
        (lambda logits: logits[..., :-1], "its output has the shape"),
        (lambda logits: logits.reshape(7), "it fails"),
    ],
)
def test_what_does_not_agree_is_named(output, words):
    def reference(photos_BCHW):
        return photos_BCHW[:, :2].astype(np.float32) / 255 - 0.5

    photo_BCHW = np.random.default_rng(0).integers(0, 256, (1, 3, 9, 9), dtype=np.uint8)
    good = compare(reference, reference, [photo_BCHW], [(1, (9, 9))])
    check(good, what="the export", fix="stop")
    bad = compare(lambda photos: output(reference(photos)), reference, [photo_BCHW], [(1, (9, 9))])
    with pytest.raises(ConfigError, match=f"at 9x9 px.*{words}"):
        check(bad, what="the export", fix="stop")


def test_int8_reports_what_it_costs(run, tmp_path):
    ended = command(run, "--to", tmp_path / "model.onnx", "--size", "40x60", "--int8", "--json")
    assert ended.exit_code == 0, ended.output
    [(path, cost)] = json.loads(ended.stdout)["int8"].items()
    assert path == str(tmp_path / "model-int8.onnx")
    assert cost["num_images"] == 2
    assert 0.5 < cost["agreement"] <= 1
    assert cost["int8_miou"] is None
    types = {node.op_type for node in onnx.load(path).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= types


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--to", "model.onnx", "--format", "torch"], r"whose name ends in .pt2, but --to is 'model.onnx'"),
        (["--to", "model", "--size", "40x60"], "--size is for .onnx and .pt2 files"),
        (["--to", "model", "--int8"], "--int8 is for"),
        (["--to", "model.pt2", "--int8"], "--int8 is for ONNX files"),
        (["--to", "model.onnx", "--size", "40"], "--size must be HEIGHTxWIDTH"),
        (["--to", "model", "--format", "coreml"], "--format must be folder, onnx or torch"),
        (["--to", "model.onnx", "--photos", "."], "must hold a photo at some depth"),
    ],
)
def test_options_that_cannot_work(run, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    message = words if "\\" in words else re.escape(words)
    with pytest.raises((ConfigError, DataError), match=message):
        raise command(run, *arguments).exception
    assert list(tmp_path.iterdir()) == []


def test_resizing_inside_needs_a_size_to_resize_to(seeded):
    with pytest.raises(ConfigError, match=r"--resize puts the resizing to data\.resize_px into the graph"):
        ModelGraph(build_model(UNET_CONFIGS[0], 2), GraphOptions(resize=True), resize_px=None, free_size=True)


def test_a_missing_package_is_named_with_the_command_that_installs_it(run, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    ended = command(run, "--to", tmp_path / "model.onnx")
    assert isinstance(ended.exception, ConfigError)
    assert "pip install 'segray[onnx]'" in str(ended.exception)


def test_a_url_is_no_place_for_an_export(run):
    ended = command(run, "--to", "s3://bucket/model")
    assert isinstance(ended.exception, ConfigError)
    assert "must be a path on this machine" in str(ended.exception)
    assert not Path("s3:").exists()
