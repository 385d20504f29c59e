"""Semantic-aware Grad-GAN that paints label images: FrancescoVincelli/SG-GAN-TF2 and Peilun-Li/SG-GAN on GitHub."""

from __future__ import annotations

from segray.recipes.recipe import NORMALISATION, PRECISION, Difference, Recipe, Setting

DATA_AND_OPTIMISERS = {
    "data.dataset": Setting("trainA", "prepare_data.py: Cityscapes, 2000 / 500 images sampled into trainA and testA"),
    "data.classes": Setting("train_ids", "main.py: the 34 label ids, of which those with a colour of their own"),
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
    "gan.adversarial_weight": Setting(1.0, "model.py: the adversarial loss as it is"),
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
"""What both forms of the system share."""

SHARED_DIFFERENCES = (
    Difference(
        "in the project's own networks 3x3 convolutions, in its U-Net without strides",
        "the 4x4 convolutions with stride 2 of SG-GAN and pix2pix, from which the project's were derived",
        "sixteen 3x3 layers without strides see 33 x 33 px; the older networks are those that the papers describe",
    ),
    Difference(
        "34 label ids, or SG-GAN's 8 groups",
        "the 19 training classes, the rest void",
        "ids that share a colour cannot be told apart in an RGB image; data.classes=groups goes too, with labels of "
        "groups",
    ),
    Difference(
        "flip, crops of 20 to 40 %, shifts of 10 %, rotations of 1 degree",
        "mirror, and a zoom of 0.8 to 1.25 at a random place, which crops by up to 20 % or pads with void, and shifts",
        "segray's windows are cut before they are resized, and not turned: a zoom that crops by 40 % would as often "
        "shrink the image to 60 % in void, and a degree moves 128 px by one at most",
    ),
    Difference(
        "images of 64 x 64 or 128 x 128",
        "128 x 128",
        "a patch of 70 px has to fit into the image",
    ),
    Difference(
        "scores by class on the sampled test images",
        "mIoU from one confusion matrix over a fifth of trainA; testA is kept for the end",
        "what chooses the best epoch must not be what it is judged by",
    ),
    Difference(
        "dropout on in prediction, and normalisation by the test batch, as pix2pix has it",
        "dropout off, and the statistics of training",
        "predictions repeat, and do not depend on the batch",
    ),
    NORMALISATION,
    PRECISION,
)

SGGAN = Recipe(
    name="sggan",
    summary="A U-Net paints the label image against a discriminator that judges class by class",
    settings={
        **DATA_AND_OPTIMISERS,
        "model.name": Setting("unet_instance_norm", "module.py: U-Net with instance normalisation, its default"),
        "gan.discriminator": Setting("semantic", "module.py: features masked by the class map"),
        "gan.norm": Setting("instance", "module.py: instance normalisation"),
        "gan.conditioned": Setting(False, "module.py: it sees the label image and the class map, not the photo"),
        "gan.loss": Setting("lsgan", "main.py: LSGAN is its default"),
        "gan.l1_weight": Setting(10.0, "main.py: weight of L1"),
        "gan.gradient_weight": Setting(5.0, "main.py: weight of the gradient-sensitive loss"),
        "gan.gradient_kind": Setting("hard", "model.py: 1 at class boundaries, else 0"),
        "gan.segmentation_weight": Setting(10.0, "main.py: GAN to segmentation 10, the GAN's counts a tenth"),
        "gan.pool_size": Setting(50, "main.py: image pool of 50"),
        "loss.name": Setting("cross_entropy", "model.py: cross-entropy as segmentation loss"),
    },
    differences=(
        Difference(
            "a loss with L1 and edges, or one of GAN and segmentation, as the code is switched",
            "their sum, each part with its published weight",
            "one run then holds all of the system; a weight of 0 leaves a part out",
        ),
        Difference(
            "an image pool over the whole run",
            "one that is emptied after every epoch",
            "a checkpoint need not hold it, and a resumed run equals an unbroken one",
        ),
        Difference(
            "SG-GAN normalises its first and its innermost map, and drops before it normalises",
            "neither map normalised, dropout after the normalisation, as pix2pix in print",
            "both generators are then one network; an innermost map of one pixel minus its mean is nothing",
        ),
        Difference(
            "the class map interpolated to the scores, which TensorFlow's padding makes an eighth of the image",
            "the class map averaged over the middle of each patch, two scores fewer a side",
            "thin classes are not lost, and each score is weighed by the classes it lies on",
        ),
        *SHARED_DIFFERENCES,
    ),
    published=None,
    url="https://github.com/FrancescoVincelli/SG-GAN-TF2 (after https://github.com/Peilun-Li/SG-GAN)",
)
