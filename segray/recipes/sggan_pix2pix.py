"""The pix2pix form of SG-GAN-TF2: FrancescoVincelli/SG-GAN-TF2 on GitHub."""

from __future__ import annotations

from segray.recipes.recipe import Recipe, Setting
from segray.recipes.sggan import DATA_AND_OPTIMISERS, SHARED_DIFFERENCES

SGGAN_PIX2PIX = Recipe(
    name="sggan_pix2pix",
    summary="The U-Net of pix2pix, which paints label images, trained against a 70 x 70 PatchGAN",
    settings={
        **DATA_AND_OPTIMISERS,
        "model.name": Setting("pix2pix", "README: Pix2Pix; its U-Net 128 for 128 px"),
        "gan.discriminator": Setting("patchgan", "module.py: PatchGAN"),
        "gan.norm": Setting("batch", "pix2pix: batch normalisation"),
        "gan.conditioned": Setting(True, "pix2pix: the discriminator sees the photo too"),
        "gan.loss": Setting("bce", "model.py: binary cross-entropy"),
        "gan.l1_weight": Setting(100.0, "model.py: lambda 100"),
        "gan.gradient_weight": Setting(0.0, "model.py: no gradient-sensitive loss in this form"),
        "gan.segmentation_weight": Setting(0.0, "model.py: no segmentation loss in this form"),
        "gan.pool_size": Setting(0, "pix2pix: no image pool"),
    },
    differences=SHARED_DIFFERENCES,
    published=None,
    url="https://github.com/FrancescoVincelli/SG-GAN-TF2",
)
