"""One model of every family, also with RGB output, exported to ONNX: the same logits at an odd size."""

import io

import onnxruntime
import pytest
import torch
from every_model import ONE_OF_EACH, build, name_of
from torch import nn

pytestmark = pytest.mark.usefixtures("seeded")


def settled(model, photos_BCHW):
    """Set batch normalisation to the statistics of these photos; else the inner layers hardly change the logits."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.cat([photos_BCHW, 255 - photos_BCHW]))
    return model.eval()


@pytest.mark.parametrize("config", ONE_OF_EACH, ids=name_of)
def test_an_exported_model_gives_the_same_logits(config):
    photos_BCHW = torch.randint(0, 256, (1, 3, 37, 51)).float()
    model = settled(build(config), photos_BCHW)
    file = io.BytesIO()
    torch.onnx.export(model, (photos_BCHW,), dynamo=True, verbose=False).save(file)

    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    (logits_BCHW,) = session.run(None, {session.get_inputs()[0].name: photos_BCHW.numpy()})
    with torch.no_grad():
        expected_BCHW = model(photos_BCHW)
    # With RGB output, logits are squared distances: those near 0 have the rounding error of the largest one.
    atol = 1e-4 * expected_BCHW.abs().max().item()
    torch.testing.assert_close(torch.from_numpy(logits_BCHW), expected_BCHW, rtol=1e-3, atol=atol)
