"""Published systems as full configs, one file each; a new recipe is a file and a line in RECIPES."""

from __future__ import annotations

from typing import Final

from segray.errors import ConfigError, unknown_name
from segray.recipes.carla_unet import CARLA_UNET
from segray.recipes.cityscapes_smp import CITYSCAPES_SMP
from segray.recipes.kitti_fcn8s import KITTI_FCN8S
from segray.recipes.pairs_kmeans import PAIRS_KMEANS
from segray.recipes.recipe import Difference, Recipe, Setting, recipe_yaml
from segray.recipes.sggan import SGGAN
from segray.recipes.sggan_pix2pix import SGGAN_PIX2PIX

RECIPES: Final[dict[str, Recipe]] = {
    "sggan": SGGAN,
    "sggan_pix2pix": SGGAN_PIX2PIX,
    "carla_unet": CARLA_UNET,
    "cityscapes_smp": CITYSCAPES_SMP,
    "kitti_fcn8s": KITTI_FCN8S,
    "pairs_kmeans": PAIRS_KMEANS,
}

__all__ = ["RECIPES", "Difference", "Recipe", "Setting", "find_recipe", "recipe_yaml"]


def find_recipe(name: str) -> Recipe:
    """Return the recipe of a name.

    Raises:
        ConfigError: There is no such recipe; the message suggests the nearest names.
    """
    if name not in RECIPES:
        raise ConfigError(unknown_name("recipe", name, RECIPES))
    return RECIPES[name]
