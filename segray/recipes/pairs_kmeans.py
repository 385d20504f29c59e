"""A U-Net on K-Means clusters of colours: pilo1996/semantic-segmentation-ivu-project-22- on GitHub."""

from __future__ import annotations

from segray.recipes.recipe import NORMALISATION, PRECISION, Difference, Recipe, Setting

PAIRS_KMEANS = Recipe(
    name="pairs_kmeans",
    summary="U-Net on ResNet-34 for ten K-Means clusters of the masks' colours",
    settings={
        "data.dataset": Setting("cityscapes_pairs", "README: Kaggle's Cityscapes image pairs, halves of 256 x 256"),
        "data.pairs.labels": Setting("kmeans", "README: labels by K-Means"),
        "data.pairs.num_clusters": Setting(10, "README: K = 10"),
        "data.split.kind": Setting("ratio", "main.py: train and val merged and split at random"),
        "data.split.sizes": Setting([0.64, 0.16, 0.2], "README: 64 / 16 / 20 %"),
        "data.policy": Setting("none", "README: augmentation is future work"),
        "model.name": Setting("smp", "README: Segmentation Models; its PyTorch version is SMP"),
        "model.arch": Setting("Unet", "README: U-Net"),
        "model.encoder": Setting("resnet34", "README: ResNet-34"),
        "model.encoder_weights": Setting("auto", "utils.py: the library's default, ImageNet"),
        "loss.name": Setting("cross_entropy", "README: softmax and sparse categorical cross-entropy"),
        "optim.name": Setting("adam", "README: Adam"),
        "optim.lr": Setting(1e-2, "README: 0.01"),
        "optim.weight_decay": Setting(0.0, "main.py: none"),
        "optim.schedule": Setting("constant", "main.py: one learning rate"),
        "train.epochs": Setting(22, "README: 22; a second result is after 100"),
        "train.batch_size": Setting(16, "main.py: 16"),
        "train.patience": Setting(5, "README: early stopping after 5 attempts"),
    },
    differences=(
        Difference(
            "K-Means is fitted again in every run, on random colours, so that labels change from run to run",
            "K-Means is fitted by seed on the colours of the masks in folder train/, and kept with the data",
            "otherwise no two runs, and no two trials of a sweep, could be compared",
        ),
        Difference(
            "clusters have no names, and the score is the accuracy on clusters",
            "clusters are named by their nearest palette colour; mIoU is on the palette classes, and "
            "val_cluster_accuracy is the accuracy on clusters",
            "accuracies at different K cannot be compared",
        ),
        Difference(
            "patience of 5 epochs on val accuracy",
            "patience of 5 epochs on val mIoU",
            "segray chooses checkpoints and trials, and stops runs, by the same score",
        ),
        NORMALISATION,
        PRECISION,
    ),
    published=(
        "84.12 % accuracy on clusters after 22 epochs, 86.30 % after 100; 22 epochs in 30 min on an M1 Pro, which is "
        "about 25 images/s; less than 79 ms for one prediction"
    ),
    url="https://github.com/pilo1996/semantic-segmentation-ivu-project-22-",
)
