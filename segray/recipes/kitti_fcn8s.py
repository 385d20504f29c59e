"""FCN-8s on VGG-16 for KITTI Road: shmulik-willinger/semantic_segmentation on GitHub."""

from __future__ import annotations

from segray.recipes.recipe import PRECISION, Difference, Recipe, Setting

KITTI_FCN8S = Recipe(
    name="kitti_fcn8s",
    summary="FCN-8s on VGG-16 separates road from not road",
    settings={
        "data.dataset": Setting("kitti_road", "README: the KITTI Road data set"),
        "data.classes": Setting("", "README: 2 classes, road or not; the data set's only list"),
        "data.resize_px": Setting([160, 576], "README and main.py: images of 160 x 576"),
        "data.policy": Setting("none", "helper.py: no augmentation"),
        "model.name": Setting("fcn8s", "README: the fully convolutional network of Long et al."),
        "model.encoder": Setting("tu-vgg16", "README: VGG-16; these ImageNet weights hold layers 6 and 7 too"),
        "model.encoder_weights": Setting("auto", "main.py: VGG-16 trained on ImageNet"),
        "model.fcn.output_stride": Setting(8, "main.py: scores of pool3, pool4 and layer 7; the last doubling is by 8"),
        "model.fcn.head_width": Setting(4096, "main.py: layer 7 of VGG-16 as published"),
        "model.fcn.dropout": Setting(0.5, "README: dropout with a keep probability of 0.5"),
        "model.fcn.score_std": Setting(0.01, "main.py: initializer with a standard deviation of 0.01"),
        "loss.name": Setting("cross_entropy", "README: cross-entropy"),
        "optim.name": Setting("adam", "README: Adam"),
        "optim.lr": Setting(1e-3, "README: 0.001"),
        "optim.weight_decay": Setting(0.0, "main.py: none except on the decoder"),
        "optim.l2": Setting(5e-4, "main.py: l2_regularizer(1e-3), which takes half the sum of squares"),
        "optim.l2_layers": Setting("network.decoder.", "main.py: kernels of the 1x1 and the transposed convolutions"),
        "optim.schedule": Setting("constant", "main.py: one learning rate"),
        "train.epochs": Setting(50, "README: 50, chosen from 10, 25, 40 and 50"),
        "train.batch_size": Setting(5, "README: 5, chosen from 1, 5 and 10"),
    },
    differences=(
        Difference(
            "every pixel without the colour of not-road is road, including the black ones",
            "black is void; (255, 0, 255) is road",
            "black is outside the area that the benchmark evaluates",
        ),
        Difference(
            "all 289 labelled images are for training, none for validation",
            "80 % for training, 20 % for validation, in blocks of neighbouring frames",
            "scores on training images say nothing about new images; data.split sets other sizes",
        ),
        Difference(
            "labels resized with blending, which gives edges colours of no class",
            "labels resized to the nearest pixel",
            "a blend of two colours is not a class",
        ),
        Difference(
            "transposed convolutions start at random, scores from a normal distribution",
            "transposed convolutions start as bilinear interpolation, scores from a normal distribution cut at two "
            "standard deviations",
            "the paper starts this way; a network that enlarges its scores from the first step has less to learn",
        ),
        Difference(
            "the L2 penalty is built with the layers, but main.py never adds it to the loss that it minimises",
            "the penalty is in the gradient, but not in the recorded losses",
            "the README says that the penalty applies; losses without it can be compared between trials",
        ),
        PRECISION,
    ),
    published="a training loss of 0.0572 after 50 epochs, in about 32 min on one Tesla M60; no score",
    url="https://github.com/shmulik-willinger/semantic_segmentation",
)
