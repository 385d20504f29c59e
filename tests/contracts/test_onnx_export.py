"""One model of every family, painting ones too, as an ONNX file: the same logits at an odd size."""

import io

import onnxruntime
import pytest
import torch
from every_model import ONE_OF_EACH, build, name_of

pytestmark = pytest.mark.usefixtures("seeded")


@pytest.mark.parametrize("config", ONE_OF_EACH, ids=name_of)
def test_an_exported_model_gives_the_same_logits(config):
    model = build(config).eval()
    photos_BCHW = torch.randint(0, 256, (1, 3, 37, 51)).float()
    file = io.BytesIO()
    torch.onnx.export(model, (photos_BCHW,), dynamo=True, verbose=False).save(file)

    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    (logits_BCHW,) = session.run(None, {session.get_inputs()[0].name: photos_BCHW.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(logits_BCHW), model(photos_BCHW), rtol=1e-3, atol=1e-4)
