"""Semantic-aware Grad-GAN that paints label images: FrancescoVincelli/SG-GAN-TF2 and Peilun-Li/SG-GAN on GitHub."""

from __future__ import annotations

from segray.recipes.recipe import NORMALISATION, PRECISION, Difference, Recipe, Setting

DATA_AND_OPTIMISERS = {
    "data.dataset": Setting("trainA", "prepare_data.py: Cityscapes, 2000 / 500 images sampled into trainA and testA"),
    "data.classes": Setting("train_ids", "main.py: the 34 label ids; here the training classes, of distinct colours"),
    "data.resize_px": Setting([128, 128], "the project: 64 x 64 or 128 x 128"),
    "data.policy": Setting("custom", "the project: its own augmentation"),
    "data.augment.mirror": Setting(0.5, "the project: flip"),
    "data.augment.zoom": Setting(1.25, "the project: crop by 20 to 40 % and shift by 10 %, here by up to 20 %"),
    "model.output": Setting("rgb", "module.py: the generator paints an image of the classes' colours"),
    "model.generator.width": Setting(64, "main.py: 64 filters in the first layer"),
    "model.generator.depth": Setting(7, "SG-GAN: 8 halvings for 256 px, so 7 for 128 px"),
    "model.generator.dropout": Setting(0.5, "module.py: rate 0.5"),
    "gan.receptive_field_px": Setting(70, "SG-GAN and pix2pix: patches of 70 x 70"),
    "gan.width": Setting(64, "main.py: 64 filters in the first layer"),
    "gan.adversarial_weight": Setting(1.0, "model.py: the adversarial loss without a factor"),
    "gan.optim.name": Setting("adam", "model.py: Adam"),
    "gan.optim.lr": Setting(2e-4, "main.py: the documented default, 2e-4; model.py has 1e-3"),
    "gan.optim.beta1": Setting(0.5, "main.py: 0.5"),
    "gan.optim.weight_decay": Setting(0.0, "model.py: none"),
    "gan.optim.schedule": Setting("constant", "main.py: no decay in the first 100 epochs"),
    "optim.name": Setting("adam", "model.py: Adam"),
    "optim.lr": Setting(2e-4, "main.py: the documented default, 2e-4; model.py has 1e-3"),
    "optim.beta1": Setting(0.5, "main.py: 0.5"),
    "optim.weight_decay": Setting(0.0, "model.py: none"),
    "optim.schedule": Setting("constant", "main.py: no decay in the first 100 epochs"),
    "train.epochs": Setting(100, "main.py: 100"),
    "train.batch_size": Setting(1, "main.py: 1"),
}
"""Settings of both forms of the system."""

SHARED_DIFFERENCES = (
    Difference(
        "3x3 convolutions in the project's own networks, without strides in its U-Net",
        "4x4 convolutions with stride 2, as in SG-GAN and pix2pix, from which the project's networks were derived",
        "sixteen 3x3 layers without strides see 33 x 33 px; the papers describe the older networks",
    ),
    Difference(
        "34 label ids, or SG-GAN's 8 groups",
        "the 19 training classes, the rest void",
        "ids that share a colour cannot be told apart in an RGB image; data.classes=groups also works, with labels of "
        "groups",
    ),
    Difference(
        "flip, crops of 20 to 40 %, shifts of 10 %, rotations of 1 degree",
        "mirror, and a zoom of 0.8 to 1.25 at a random place, which crops by up to 20 % or pads with void, and shifts",
        "segray cuts a window and resizes it, without rotation: a zoom that crops by 40 % would as often shrink the "
        "image to 60 % with void around it, and one degree moves pixels of a 128 px image by one pixel at most",
    ),
    Difference(
        "images of 64 x 64 or 128 x 128",
        "128 x 128",
        "a patch of 70 px must fit into the image",
    ),
    Difference(
        "scores by class on the sampled test images",
        "mIoU from one confusion matrix over a fifth of trainA; testA is kept for the end",
        "the best epoch must be chosen on other images than those of the final score",
    ),
    Difference(
        "dropout and normalisation by the test batch in prediction, as in pix2pix",
        "no dropout in prediction, and normalisation by the statistics of training",
        "predictions are repeatable and do not depend on the batch",
    ),
    NORMALISATION,
    PRECISION,
)

SGGAN = Recipe(
    name="sggan",
    summary="A U-Net that paints label images, trained against a discriminator that judges class by class",
    settings={
        **DATA_AND_OPTIMISERS,
        "model.name": Setting("unet_instance_norm", "module.py: U-Net with instance normalisation, its default"),
        "gan.discriminator": Setting("semantic", "module.py: features masked by the class map"),
        "gan.norm": Setting("instance", "module.py: instance normalisation"),
        "gan.conditioned": Setting(False, "module.py: its input is the label image and the class map, not the photo"),
        "gan.loss": Setting("lsgan", "main.py: LSGAN is its default"),
        "gan.l1_weight": Setting(10.0, "main.py: weight of L1"),
        "gan.gradient_weight": Setting(5.0, "main.py: weight of the gradient-sensitive loss"),
        "gan.gradient_kind": Setting("hard", "model.py: 1 at class boundaries, else 0"),
        "gan.segmentation_weight": Setting(10.0, "main.py: segmentation counts ten times as much as the GAN"),
        "gan.pool_size": Setting(50, "main.py: image pool of 50"),
        "loss.name": Setting("cross_entropy", "model.py: cross-entropy as segmentation loss"),
    },
    differences=(
        Difference(
            "a switch in the code selects a loss of GAN, L1 and edges, or one of GAN and segmentation",
            "the sum of both, each part with its published weight",
            "one run then covers the whole system; a weight of 0 leaves a part out",
        ),
        Difference(
            "an image pool over the whole run",
            "an image pool that is emptied after every epoch",
            "a checkpoint need not hold the pool, and a resumed run equals an unbroken one",
        ),
        Difference(
            "SG-GAN normalises its first and its innermost map, with dropout before normalisation",
            "neither map normalised, dropout after normalisation, as in the pix2pix paper",
            "both generators are then the same network; an innermost map of one pixel minus its mean is 0",
        ),
        Difference(
            "the class map interpolated to the scores, whose sides TensorFlow's padding makes an eighth of the image's",
            "the class map averaged over the middle of each patch; two scores fewer per side",
            "thin classes are not lost, and each score is weighted by the classes in its patch's middle",
        ),
        *SHARED_DIFFERENCES,
    ),
    published=None,
    url="https://github.com/FrancescoVincelli/SG-GAN-TF2 (after https://github.com/Peilun-Li/SG-GAN)",
)
