"""VGG-16 as a fully convolutional network, and the convolution stages of VGG-like networks.

Simonyan and Zisserman, 2015, "Very Deep Convolutional Networks for Large-Scale Image Recognition", arXiv 1409.1556.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from segray.errors import ConfigError
from segray.models.encoder_weights import unfitting
from segray.models.weights_file import read_weights

WIDTHS = (64, 128, 256, 512, 512)
CONVOLUTIONS = (2, 2, 3, 3, 3)
"""Channels and 3x3 convolutions of the five stages of VGG-16; each stage ends by halving the map."""

# Names of the fully connected layers in torchvision and timm -> names here; the third, ImageNet's classifier, is left
# out.
_LAYERS = {
    "classifier.0": "fc6",
    "classifier.3": "fc7",
    "classifier.6": None,
    "pre_logits.fc1": "fc6",
    "pre_logits.fc2": "fc7",
    "head.fc": None,
}


class Vgg16(nn.Module):
    """VGG-16 with its first two fully connected layers as convolutions, and without the third.

    Args:
        batch_norm: Whether batch normalisation follows every 3x3 convolution.
        head_width: Channels of ``fc6`` and ``fc7``; 4096 as published.
        dropout: Share of the values dropped after each of ``fc6`` and ``fc7``.
    """

    def __init__(self, *, batch_norm: bool, head_width: int, dropout: float):
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width, count in zip(WIDTHS, CONVOLUTIONS, strict=True):
            layers += [*conv_layers(channels, width, count, batch_norm=batch_norm), nn.MaxPool2d(2)]
            channels = width
        self.features = nn.Sequential(*layers)
        self.fc6 = nn.Conv2d(channels, head_width, kernel_size=7, padding=3)
        self.fc7 = nn.Conv2d(head_width, head_width, kernel_size=1)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        start_he(self)

    def forward(self, inputs_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the maps of pool3, pool4 and layer 7, at 1/8, 1/16 and 1/32 of the input's size."""
        pools = []
        x_BCHW = inputs_BCHW
        for layer in self.features:
            x_BCHW = layer(x_BCHW)
            if isinstance(layer, nn.MaxPool2d):
                pools.append(x_BCHW)
        for layer in (self.fc6, self.fc7):
            x_BCHW = self.dropout(self.relu(layer(x_BCHW)))
        return pools[2], pools[3], x_BCHW


def conv_layers(in_channels: int, width: int, count: int, *, batch_norm: bool) -> list[nn.Module]:
    """Build ``count`` 3x3 convolutions that keep the size, each followed by batch normalisation (optional) and ReLU."""
    layers: list[nn.Module] = []
    for index in range(count):
        layers.append(nn.Conv2d(width if index else in_channels, width, kernel_size=3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU(inplace=True))
    return layers


def start_he(network: nn.Module) -> None:
    """Initialise convolutions as in He et al. 2015 (arXiv 1502.01852), which keeps the spread of values over ReLUs."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def load_vgg(vgg: Vgg16, encoder: str, path: Path) -> None:
    """Load a VGG-16 weights file of torchvision, timm or SMP.

    ``fc6`` and ``fc7`` keep their initial weights if the file has no fully connected layers, or wider or narrower ones.

    Args:
        vgg: The network to load into.
        encoder: The encoder's name, for messages.
        path: File with the state dict of a VGG-16, with or without its fully connected layers.

    Raises:
        ConfigError: The file cannot be read, or its keys or shapes do not fit the network.
    """
    own = vgg.state_dict()
    weights = _rename(read_weights(path))
    head = {key: value for key, value in own.items() if key.startswith("fc")}
    if len(weights.get("fc6.weight", ())) == vgg.fc6.out_channels:
        head = {key: _reshape_like(value, own[key]) for key, value in weights.items() if key in head}
    features = {key: value for key, value in weights.items() if not key.startswith("fc")}
    try:
        vgg.load_state_dict(features | head)
    except RuntimeError as error:
        raise ConfigError(unfitting(encoder, path, error)) from None


def _rename(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for key, value in weights.items():
        layer, _, parameter = key.rpartition(".")
        if layer not in _LAYERS:
            renamed[key] = value
        elif _LAYERS[layer] is not None:
            renamed[f"{_LAYERS[layer]}.{parameter}"] = value
    return renamed


def _reshape_like(value: Tensor, own: Tensor) -> Tensor:
    """Reshape a fully connected layer's matrix to a convolution kernel: both are ordered by channels, rows, columns."""
    return value.reshape(own.shape) if value.numel() == own.numel() else value
