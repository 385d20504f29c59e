"""A VGG-like U-Net for CARLA, trained from scratch: filippogiruzzi/semantic_segmentation on GitHub."""

from __future__ import annotations

from segray.recipes.recipe import NORMALISATION, PRECISION, Difference, Recipe, Setting

CARLA_UNET = Recipe(
    name="carla_unet",
    summary="A VGG-like U-Net, trained from scratch with focal loss on the 13 classes of the Lyft challenge",
    settings={
        "data.dataset": Setting("carla", "README: the Lyft and Udacity challenge, 800 x 600 photos of CARLA"),
        "data.classes": Setting("", "train.py: 13 classes, the raw label ids; the data set's first list, raw"),
        "data.split.kind": Setting("ratio", "README: split by its author"),
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
            "summed over pixels, on outputs that are clipped to 0 to 1 instead of passed through a sigmoid",
            "focal loss over a softmax, alpha 0.25 as one factor on every pixel, mean over pixels",
            "a pixel has one class; a mean does not depend on the image's size, and Adam divides a constant factor out",
        ),
        Difference(
            "lane markings and the bonnet of the own car are classes, as labelled",
            "the same; data.classes=challenge turns markings into road and leaves the bonnet out",
            "the challenge scores the second list, but the system was trained on raw labels",
        ),
        Difference(
            "frames split one by one",
            "all frames of a drive are in the same split, so split sizes can be off by part of a drive",
            "neighbouring frames in different splits inflate the score",
        ),
        Difference(
            "Glorot initialisation of all convolutions",
            "He initialisation of the 3x3 convolutions",
            "He initialisation is made for layers that end in a ReLU, and no normalisation corrects a poor start",
        ),
        NORMALISATION,
        PRECISION,
    ),
    published=None,
    url="https://github.com/filippogiruzzi/semantic_segmentation",
)
