"""Every generator as an ONNX file: the same logits at an odd size."""

import io

import onnxruntime
import pytest
import torch

from segray.config import GeneratorConfig, ModelConfig
from segray.labels import distinct_colors
from segray.models import build_model

pytestmark = pytest.mark.usefixtures("seeded")


@pytest.mark.parametrize("output", ["logits", "rgb"])
@pytest.mark.parametrize("name", ["pix2pix", "unet_instance_norm", "resnet"])
def test_an_exported_generator_gives_the_same_logits(name, output):
    config = ModelConfig(name=name, output=output, generator=GeneratorConfig(width=4, depth=3, num_blocks=1))
    model = build_model(config, 5, palette=distinct_colors(5)).eval()
    photos_BCHW = torch.randint(0, 256, (1, 3, 37, 51)).float()
    file = io.BytesIO()
    torch.onnx.export(model, (photos_BCHW,), dynamo=True, verbose=False).save(file)

    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    (logits_BCHW,) = session.run(None, {session.get_inputs()[0].name: photos_BCHW.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(logits_BCHW), model(photos_BCHW), rtol=1e-3, atol=1e-5)
