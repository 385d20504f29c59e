"""One model of every family, also with RGB output, exported to ONNX for any size: the same logits at every size."""

from functools import partial

import pytest
import torch
from every_model import ONE_OF_EACH, SMP_CONFIGS, build, name_of
from model_run import settled

from segray.inference.export.comparison import Reference, compare
from segray.inference.export.graph import GraphOptions, ModelGraph
from segray.inference.export.onnx_file import open_session, run_session, to_onnx
from segray.inference.export.trace import trace

pytestmark = pytest.mark.usefixtures("seeded")

POOLS_TO_FIXED_SIZES = [config for config in SMP_CONFIGS if config.arch == "UPerNet"]
SIZES_PX = [(101, 135), (202, 270), (37, 51), (96, 64), (33, 190)]
"""The traced size of a model with stride 32; twice that; smaller than two strides; multiples of the stride; narrow"""


def cases():
    """Return one small model of each family; what takes long, painting models and pyramid pools, runs with the slow."""
    for config in (*ONE_OF_EACH, *POOLS_TO_FIXED_SIZES):
        is_slow = config in POOLS_TO_FIXED_SIZES or config.output != "logits"
        yield pytest.param(config, id=name_of(config), marks=[pytest.mark.slow] if is_slow else [])


@pytest.mark.parametrize("config", list(cases()))
def test_an_exported_model_gives_the_same_logits_at_any_size(config):
    photo_BCHW = torch.randint(0, 256, (1, 3, 101, 135), dtype=torch.uint8)
    model = settled(build(config), photo_BCHW.float())
    program = trace(ModelGraph(model, GraphOptions(), resize_px=None, free_size=True), None)
    session = open_session(to_onnx(program, "logits", {"segray.dataset": "none"}), num_threads=1)

    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    batches = [*((1, size_px) for size_px in SIZES_PX), (3, SIZES_PX[0])]
    found = compare(partial(run_session, session), Reference(model, None), [photo_BCHW.numpy()], batches)
    assert [agreement.in_words for agreement in found if not agreement.is_good] == []
