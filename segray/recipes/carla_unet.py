"""A VGG-like U-Net for CARLA, trained from scratch: filippogiruzzi/semantic_segmentation on GitHub."""

from __future__ import annotations

from segray.recipes.recipe import NORMALISATION, PRECISION, Difference, Recipe, Setting

CARLA_UNET = Recipe(
    name="carla_unet",
    summary="A VGG-like U-Net from scratch with focal loss tells the 13 classes of the Lyft challenge",
    settings={
        "data.dataset": Setting("carla", "README: the Lyft and Udacity challenge, 800 x 600 photos of CARLA"),
        "data.classes": Setting("", "train.py: 13 classes, the label ids as they are; the data set's first list, raw"),
        "data.split.kind": Setting("ratio", "README: divided by its author"),
        "data.split.sizes": Setting([3000, 1000, 1000], "README: 3000 / 1000 / 1000 images"),
        "data.resize_px": Setting([512, 512], "train.py: input of 512 x 512"),
        "data.policy": Setting("none", "README: augmentation is a to-do"),
        "model.name": Setting("unet", "README: U-Net"),
        "model.unet.widths": Setting([64, 128, 256, 512, 512], "model.py: widths of the encoder"),
        "model.unet.convolutions": Setting([2, 2, 3, 3, 3], "model.py: convolutions of a stage"),
        "model.unet.decoder_widths": Setting([256, 128, 64, 32], "model.py: widths of the decoder"),
        "model.unet.batch_norm": Setting(False, "model.py: no normalisation"),
        "loss.name": Setting("focal", "README: focal loss against unbalanced classes"),
        "loss.focal_gamma": Setting(2.0, "estimator.py: gamma 2"),
        "loss.focal_alpha": Setting(0.25, "estimator.py: alpha 0.25"),
        "optim.name": Setting("adam", "estimator.py: Adam"),
        "optim.lr": Setting(1e-3, "train.py: 0.001"),
        "optim.weight_decay": Setting(0.0, "estimator.py: none"),
        "optim.schedule": Setting("constant", "estimator.py: one learning rate"),
        "train.epochs": Setting(100, "train.py: 100"),
        "train.batch_size": Setting(8, "train.py: 8"),
    },
    differences=(
        Difference(
            "focal loss of each class against all others, alpha 0.25 for the true class and 0.75 for the others, "
            "summed over pixels, on outputs that are cut to 0 to 1 instead of a sigmoid",
            "focal loss over a softmax, 0.25 one factor on every pixel, mean over pixels",
            "one pixel has one class; a mean does not depend on the image's size, and Adam divides a factor out again",
        ),
        Difference(
            "lane markings and the bonnet of the own car are classes as labelled",
            "the same; data.classes=challenge makes markings road and takes the bonnet out",
            "the challenge scores that list, but the system was trained on raw labels",
        ),
        Difference(
            "frames divided one by one",
            "frames of one drive stay on one side, so a count can be missed by part of a drive",
            "neighbouring frames on both sides flatter the score",
        ),
        Difference(
            "Glorot's start of all convolutions",
            "He's start of the 3x3 convolutions",
            "it is made for layers that end in a ReLU, and there is no normalisation to make up for it",
        ),
        NORMALISATION,
        PRECISION,
    ),
    published=None,
    url="https://github.com/filippogiruzzi/semantic_segmentation",
)
