"""Every recipe against the values that its source publishes, copied here by hand."""

import pytest

from segray.data.datasets import open_dataset
from segray.data.synthetic import write_scenes
from segray.recipes import RECIPES
from segray.tuning.preflight import check_choices

PAINTED = {
    "data.dataset": "trainA",
    "data.classes": "train_ids",
    "data.resize_px": [128, 128],
    "data.policy": "custom",
    "data.augment.mirror": 0.5,
    # The source crops by 20 to 40 %. A zoom pads with void as often as it crops, so the recipe uses the smaller value.
    "data.augment.zoom": 1 / 0.8,
    "model.output": "rgb",
    "model.generator.width": 64,
    "model.generator.depth": 7,
    "model.generator.dropout": 0.5,
    "gan.receptive_field_px": 70,
    "gan.width": 64,
    "gan.adversarial_weight": 1.0,
    "gan.optim.name": "adam",
    "gan.optim.lr": 0.0002,
    "gan.optim.beta1": 0.5,
    "gan.optim.weight_decay": 0.0,
    "gan.optim.schedule": "constant",
    "optim.name": "adam",
    "optim.lr": 0.0002,
    "optim.beta1": 0.5,
    "optim.weight_decay": 0.0,
    "optim.schedule": "constant",
    "train.epochs": 100,
    "train.batch_size": 1,
}

FACTS = {
    "sggan": {
        **PAINTED,
        "model.name": "unet_instance_norm",
        "loss.name": "cross_entropy",
        "gan.discriminator": "semantic",
        "gan.norm": "instance",
        "gan.conditioned": False,
        "gan.loss": "lsgan",
        "gan.l1_weight": 10.0,
        "gan.gradient_weight": 5.0,
        "gan.gradient_kind": "hard",
        "gan.segmentation_weight": 10.0,
        "gan.pool_size": 50,
    },
    "sggan_pix2pix": {
        **PAINTED,
        "model.name": "pix2pix",
        "gan.discriminator": "patchgan",
        "gan.norm": "batch",
        "gan.conditioned": True,
        "gan.loss": "bce",
        "gan.l1_weight": 100.0,
        "gan.gradient_weight": 0.0,
        "gan.segmentation_weight": 0.0,
        "gan.pool_size": 0,
    },
    "carla_unet": {
        "data.dataset": "carla",
        "data.classes": "",
        "data.split.kind": "ratio",
        "data.split.sizes": [3000, 1000, 1000],
        "data.resize_px": [512, 512],
        "data.policy": "none",
        "model.name": "unet",
        "model.unet.widths": [64, 128, 256, 512, 512],
        "model.unet.convolutions": [2, 2, 3, 3, 3],
        "model.unet.decoder_widths": [256, 128, 64, 32],
        "model.unet.batch_norm": False,
        "loss.name": "focal",
        "loss.focal_gamma": 2.0,
        "loss.focal_alpha": 0.25,
        "optim.name": "adam",
        "optim.lr": 0.001,
        "optim.weight_decay": 0.0,
        "optim.schedule": "constant",
        "train.epochs": 100,
        "train.batch_size": 8,
    },
    "cityscapes_smp": {
        "data.dataset": "cityscapes",
        "data.cityscapes.labels": "fine",
        "data.classes": "",
        "data.split.kind": "official",
        "data.crop_px": [512, 512],
        "data.policy": "none",
        "model.name": "smp",
        "model.arch": "DeepLabV3Plus",
        "model.encoder": "efficientnet-b4",
        "model.encoder_weights": "auto",
        "loss.name": "cross_entropy",
        "optim.name": "adam",
        "optim.lr": 0.0005,
        "optim.weight_decay": 0.0,
        "optim.schedule": "cosine",
        "optim.final_lr": 0.000001,
        "train.epochs": 60,
        "train.batch_size": 8,
    },
    "kitti_fcn8s": {
        "data.dataset": "kitti_road",
        "data.classes": "",
        "data.resize_px": [160, 576],
        "data.policy": "none",
        "model.name": "fcn8s",
        "model.encoder": "tu-vgg16",
        "model.encoder_weights": "auto",
        "model.fcn.output_stride": 8,
        "model.fcn.head_width": 4096,
        "model.fcn.dropout": 0.5,
        "model.fcn.score_std": 0.01,
        "loss.name": "cross_entropy",
        "optim.name": "adam",
        "optim.lr": 0.001,
        "optim.weight_decay": 0.0,
        # l2_regularizer(1e-3) of TensorFlow 1 is 1e-3 times half the sum of squares.
        "optim.l2": 0.001 / 2,
        "optim.l2_layers": "network.decoder.",
        "optim.schedule": "constant",
        "train.epochs": 50,
        "train.batch_size": 5,
    },
    "pairs_kmeans": {
        "data.dataset": "cityscapes_pairs",
        "data.pairs.labels": "kmeans",
        "data.pairs.num_clusters": 10,
        "data.split.kind": "ratio",
        "data.split.sizes": [0.64, 0.16, 0.2],
        "data.policy": "none",
        "model.name": "smp",
        "model.arch": "Unet",
        "model.encoder": "resnet34",
        "model.encoder_weights": "auto",
        "loss.name": "cross_entropy",
        "optim.name": "adam",
        "optim.lr": 0.01,
        "optim.weight_decay": 0.0,
        "optim.schedule": "constant",
        "train.epochs": 22,
        "train.batch_size": 16,
        "train.patience": 5,
    },
}

CLASSES = {
    "sggan": 19,
    "sggan_pix2pix": 19,
    "carla_unet": 13,
    "cityscapes_smp": 19,
    "kitti_fcn8s": 2,
    "pairs_kmeans": 10,
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_sets_what_is_published_and_nothing_else(name):
    recipe = RECIPES[name]
    flat = recipe.config.flat()
    assert {key: flat[key] for key in FACTS[name]} == FACTS[name]
    assert recipe.settings.keys() == FACTS[name].keys()


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_has_as_many_classes_as_published(name, tmp_path, monkeypatch):
    monkeypatch.setenv("SEGRAY_CACHE", str(tmp_path / "cache"))
    recipe = RECIPES[name]
    write_scenes(recipe.dataset, tmp_path / "data", train=2, val=1, test=1, size_px=(64, 128))
    dataset = open_dataset(recipe.config.with_values({"data.root": str(tmp_path / "data")}).data)
    assert dataset.label_space.num_classes == CLASSES[name]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_can_be_built(name):
    check_choices(RECIPES[name].config)


def test_published_results_are_told():
    assert {name for name, recipe in RECIPES.items() if recipe.published} == {"kitti_fcn8s", "pairs_kmeans"}
    assert "0.0572" in RECIPES["kitti_fcn8s"].published
    assert "84.12 %" in RECIPES["pairs_kmeans"].published
    assert "86.30 %" in RECIPES["pairs_kmeans"].published
