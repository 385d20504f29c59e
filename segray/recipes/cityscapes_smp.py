"""DeepLabV3+ for Cityscapes: massimilianoviola/semantic-segmentation-cityscapes on GitHub."""

from __future__ import annotations

from segray.recipes.recipe import PRECISION, Difference, Recipe, Setting

CITYSCAPES_SMP = Recipe(
    name="cityscapes_smp",
    summary="DeepLabV3+ on EfficientNet-B4 for the 19 classes of Cityscapes",
    settings={
        "data.dataset": Setting("cityscapes", "README: Cityscapes"),
        "data.cityscapes.labels": Setting("fine", "launch.py: fine labels"),
        "data.classes": Setting("", "dataset_cityscapes.py: 19 training ids; the data set's first list, train_ids"),
        "data.split.kind": Setting("official", "launch.py: the official train, val and test"),
        "data.crop_px": Setting([512, 512], "launch.py: random crops of 512 x 512"),
        "data.policy": Setting("none", "launch.py: no augmentation except the crop"),
        "model.name": Setting("smp", "README: a model of segmentation-models-pytorch"),
        "model.arch": Setting("DeepLabV3Plus", "README: DeepLabV3+ in its video"),
        "model.encoder": Setting("efficientnet-b4", "README: EfficientNet-B4 in its video"),
        "model.encoder_weights": Setting("auto", "launch.py: ImageNet"),
        "loss.name": Setting("cross_entropy", "launch.py: cross-entropy"),
        "optim.name": Setting("adam", "launch.py: Adam"),
        "optim.lr": Setting(5e-4, "launch.py: 5e-4"),
        "optim.weight_decay": Setting(0.0, "launch.py: Adam's default, none"),
        "optim.schedule": Setting("cosine", "launch.py: cosine annealing"),
        "optim.final_lr": Setting(1e-6, "launch.py: down to 1e-6"),
        "train.epochs": Setting(60, "launch.py: 60"),
        "train.batch_size": Setting(8, "notebook: 8; launch.py and README adapt it to encoder and GPU"),
    },
    differences=(
        Difference(
            "20 classes: pixels of none of the 19 classes are trained as class background",
            "19 classes; the rest is void, which counts neither in training nor in scores",
            "the benchmark ignores the background; a trained background class would take pixels from the other classes",
        ),
        Difference(
            "IoU averaged over images, reported as IoU",
            "mIoU from one confusion matrix over the split",
            "the benchmark reports the mIoU of one confusion matrix",
        ),
        Difference(
            "validates after every fifth epoch and keeps the best of the validated epochs",
            "validates after every epoch",
            "segray chooses the best epoch, and stops early, by the validation of every epoch",
        ),
        Difference(
            "the learning rate falls after every epoch",
            "the learning rate falls after every batch",
            "segray steps its schedules once per batch; the curve is the same",
        ),
        PRECISION,
    ),
    published=None,
    url="https://github.com/massimilianoviola/semantic-segmentation-cityscapes",
)
