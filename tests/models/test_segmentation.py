import pytest
import torch
from torch import nn
from torchvision.transforms.v2.functional import normalize

from segray.models.normalisation import IMAGENET, Normalisation
from segray.models.segmentation import SegmentationModel


class Recorder(nn.Module):
    """A network that returns its input, and keeps it."""

    def forward(self, inputs_BCHW):
        self.seen = inputs_BCHW
        return inputs_BCHW


@pytest.mark.parametrize("normalisation", [IMAGENET, Normalisation(mean=(0.5, 0.4, 0.3), std=(0.5, 1.0, 0.25))])
def test_normalises_as_torchvision_does(normalisation):
    photos_BCHW = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    expected = normalize(photos_BCHW / 255, mean=list(normalisation.mean), std=list(normalisation.std))
    model = SegmentationModel(Recorder(), stride=32, normalisation=normalisation)
    torch.testing.assert_close(model(photos_BCHW), expected)


def test_normalises_by_imagenet_unless_told():
    model = SegmentationModel(Recorder(), stride=1)
    assert model.normalisation == IMAGENET
    photos_BCHW = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1) * 255
    torch.testing.assert_close(model(photos_BCHW), torch.zeros(1, 3, 1, 1))


def test_float_photos_give_what_bytes_give():
    photos_BCHW = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    model = SegmentationModel(Recorder(), stride=32)
    assert torch.equal(model(photos_BCHW), model(photos_BCHW.float()))


def test_pads_to_the_stride_with_the_last_row_and_column_and_crops_back():
    network = Recorder()
    logits_BCHW = SegmentationModel(network, stride=32)(torch.randint(0, 256, (1, 3, 33, 70), dtype=torch.uint8))
    assert logits_BCHW.shape == (1, 3, 33, 70)
    assert network.seen.shape == (1, 3, 64, 96)
    assert torch.equal(network.seen[:, :, 33:, :70], network.seen[:, :, 32:33, :70].expand(-1, -1, 31, -1))
    assert torch.equal(network.seen[:, :, :, 70:], network.seen[:, :, :, 69:70].expand(-1, -1, -1, 26))


def test_a_photo_smaller_than_the_stride_is_padded_too():
    assert SegmentationModel(Recorder(), stride=32)(torch.zeros(1, 3, 1, 1, dtype=torch.uint8)).shape == (1, 3, 1, 1)


def test_keeps_channels_last():
    network = Recorder()
    photos_BCHW = torch.zeros(2, 3, 40, 40, dtype=torch.uint8).to(memory_format=torch.channels_last)
    SegmentationModel(network, stride=32)(photos_BCHW)
    assert network.seen.is_contiguous(memory_format=torch.channels_last)


def test_state_dict_holds_the_network_only():
    model = SegmentationModel(nn.Conv2d(3, 2, 1), stride=1)
    assert set(model.state_dict()) == {"network.weight", "network.bias"}
