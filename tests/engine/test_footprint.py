"""The memory of a step that is counted without arithmetic, beside that of a real one."""

import pytest
import torch
from every_model import GENERATOR_CONFIGS, SMP_CONFIGS, UNET_CONFIGS, name_of
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from segray.config import ModelConfig, RunConfig
from segray.engine.footprint import Footprint, footprint
from segray.engine.optim import build_optimizer
from segray.labels import distinct_colors
from segray.models import MODELS as MODEL_FAMILIES
from segray.models import SegmentationModel, build_model

SIZE_PX = (96, 128)
ARCHITECTURES = ("DeepLabV3Plus", "PSPNet", "Segformer", "Unet")
MODELS = [config for config in SMP_CONFIGS if config.arch in ARCHITECTURES]
MODELS += [
    ModelConfig(name="attending"),
    *UNET_CONFIGS,
    GENERATOR_CONFIGS["pix2pix"][0],
    GENERATOR_CONFIGS["resnet"][1],
]


class Attending(nn.Module):
    """Attention of every patch to all others, with dropout."""

    def __init__(self, num_outputs):
        super().__init__()
        self.into, self.out = nn.Conv2d(3, 24, 8, stride=8), nn.Conv2d(8, num_outputs, 1)
        self.dropout = nn.Dropout(0.5)

    def forward(self, photos):
        tokens = self.into(photos).flatten(2).transpose(1, 2)[:, None]
        seen = nn.functional.scaled_dot_product_attention(*tokens.chunk(3, dim=-1))
        logits = self.out(self.dropout(seen[:, 0].transpose(1, 2).unflatten(2, (photos.shape[2] // 8, -1))))
        return nn.functional.interpolate(logits, photos.shape[2:])


@pytest.mark.parametrize("model", MODELS, ids=name_of)
def test_what_is_counted_is_at_most_and_nearly_what_a_real_step_keeps(model, monkeypatch):
    monkeypatch.setitem(MODEL_FAMILIES, "attending", lambda _, outputs: SegmentationModel(Attending(outputs), stride=1))
    config = RunConfig(model=model).with_values({"train.precision": "float32", "train.ema_decay": 0.9})
    counted = footprint(config, 5, SIZE_PX)
    network = build_model(model, 5, palette=distinct_colors(5)).train()
    own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            # Holding the tensor keeps its place from being used again.
            kept[storage.data_ptr()] = tensor
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        # Some networks refuse to normalise a single image.
        output = network(torch.zeros(2, 3, *SIZE_PX, dtype=torch.uint8))
    num_bytes = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    # A CPU may keep attention's matrix of all pairs, and dropout's mask in four bytes; a GPU does not.
    least = 0.4 if model.name == "attending" else 0.9
    assert least * num_bytes < 2 * counted.image <= num_bytes
    half = footprint(config.with_values({"train.precision": "auto"}), 5, SIZE_PX)
    assert counted.image / 2 <= half.image < 0.7 * counted.image
    optimizer = build_optimizer(network, config.optim)
    output.sum().backward()
    optimizer.step()
    assert counted.gradients == size(parameter.grad for parameter in network.parameters() if parameter.grad is not None)
    states = size(value for state in optimizer.state.values() for name, value in state.items() if name != "step")
    assert counted.lasting == 2 * size([*network.parameters(), *network.buffers()]) + states


def test_optimisers_keep_as_many_copies_as_they_have_states():
    model = UNET_CONFIGS[0]
    copies = {}
    for name, momentum in (("adamw", 0.9), ("sgd", 0.9), ("sgd", 0.0)):
        values = {"optim.name": name, "optim.momentum": momentum}
        counted = footprint(RunConfig(model=model).with_values(values), 5, SIZE_PX)
        copies[name, momentum] = (counted.lasting - counted.gradients) / counted.gradients
    weights = copies["sgd", 0.0]
    assert (copies["sgd", 0.9], copies["adamw", 0.9]) == (pytest.approx(weights + 1), pytest.approx(weights + 2))


def size(tensors):
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def test_parts_of_one_image_need_their_gradients_beside_their_activations():
    small = Footprint(lasting=100, gradients=30, image=20)
    assert (small.whole(1), small.whole(2), small.whole(8)) == (130, 140, 260)
    assert (small.least(1), small.least(2), small.least(8)) == (130, 140, 150)
