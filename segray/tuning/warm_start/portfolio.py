"""A small portfolio of configs that did well on street scenes, each with its source: ``--warm-start portfolio``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from segray.values import Values

PORTFOLIO_NAME: Final = "portfolio"
"""The name for ``--warm-start``; a sweep's folder of that name is ./portfolio"""

OF_A_RATE: Final = ("model.name", "optim.name", "optim.lr")
"""A learning rate is good for an optimiser and a kind of network, and little is good without its rate."""


@dataclass(frozen=True, kw_only=True)
class PortfolioConfig:
    """A config that did well."""

    name: str
    values: Values
    """Dotted config key -> value"""
    needs: tuple[str, ...] = OF_A_RATE
    """The keys without whose values the others mean little"""
    source: str


PORTFOLIO: Final[tuple[PortfolioConfig, ...]] = (
    PortfolioConfig(
        name="camvid_lovasz",
        values={
            "optim.name": "adamw",
            "optim.lr": 1.78e-3,
            "optim.schedule": "onecycle",
            "train.batch_size": 4,
            "model.name": "smp",
            "model.arch": "FPN",
            "model.encoder": "resnet18",
            "loss.name": "cross_entropy+lovasz",
            "loss.class_weights": "balanced",
            "data.policy": "none",
        },
        source="docs/benchmarks.md, CamVid from scratch on two cores: the best of 16 trials, 0.532 val mIoU",
    ),
    PortfolioConfig(
        name="camvid_adam",
        values={
            "optim.name": "adam",
            "optim.lr": 1e-3,
            "optim.schedule": "onecycle",
            "train.batch_size": 2,
            "model.name": "smp",
            "model.arch": "FPN",
            "model.encoder": "resnet18",
            "loss.name": "cross_entropy",
            "loss.class_weights": "none",
            "data.policy": "none",
        },
        source="docs/benchmarks.md, CamVid: how much a search gains over a recipe: 0.419 against 0.092 in three epochs",
    ),
    PortfolioConfig(
        name="unet_dice",
        values={
            "optim.name": "adamw",
            "optim.lr": 0.03,
            "optim.schedule": "cosine",
            "train.batch_size": 4,
            "model.name": "unet",
            "model.unet.batch_norm": True,
            "loss.name": "dice",
        },
        needs=(*OF_A_RATE, "loss.name"),
        source="benchmarks/tables: number 2 of 360 configs of a small U-Net on camvid.csv, 3 on scenes.csv",
    ),
    PortfolioConfig(
        name="unet_focal",
        values={
            "optim.name": "adamw",
            "optim.lr": 0.01,
            "optim.schedule": "constant",
            "train.batch_size": 4,
            "model.name": "unet",
            "model.unet.batch_norm": True,
            "loss.name": "focal",
            "loss.focal_gamma": 4.0,
        },
        needs=(*OF_A_RATE, "loss.name"),
        source="benchmarks/tables: number 1 of 360 configs of a small U-Net on camvid.csv, 6 on scenes.csv",
    ),
    PortfolioConfig(
        name="deeplabv3plus",
        values={
            "optim.name": "sgd",
            "optim.lr": 0.01,
            "optim.momentum": 0.9,
            "optim.weight_decay": 5e-4,
            "optim.schedule": "poly",
            "optim.poly_power": 0.9,
            "train.batch_size": 8,
            "model.name": "smp",
            "model.arch": "DeepLabV3Plus",
            "model.encoder": "resnet50",
            "loss.name": "cross_entropy",
        },
        source=(
            "DeepLabV3+ (Chen et al. 2018, arXiv 1802.02611) as MMSegmentation trains it on Cityscapes: "
            "configs/deeplabv3plus/deeplabv3plus_r50-d8_4xb2-80k_cityscapes-512x1024.py"
        ),
    ),
    PortfolioConfig(
        name="segformer",
        values={
            "optim.name": "adamw",
            "optim.lr": 6e-5,
            "optim.weight_decay": 0.01,
            "optim.schedule": "poly",
            "optim.poly_power": 1.0,
            "train.batch_size": 8,
            "model.name": "smp",
            "model.arch": "Segformer",
            "model.encoder": "mit_b0",
            "loss.name": "cross_entropy",
        },
        needs=(*OF_A_RATE, "model.arch"),
        source=(
            "SegFormer (Xie et al. 2021, arXiv 2105.15203) as MMSegmentation trains it on Cityscapes: "
            "configs/segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024.py"
        ),
    ),
)
