"""The checks of a discriminator's config, and the pool of past label images."""

import pytest
import torch
from tiny_run import gan_config, tiny_config

from segray.engine.adversary import ImagePool, LabelImages, check_adversary
from segray.errors import ConfigError

NOTHING = {
    f"gan__{name}_weight": 0.0 for name in ("adversarial", "segmentation", "l1", "gradient")
}  # fmt: skip
"""Options that leave the model nothing to minimise."""


def numbered(*numbers):
    """Return one label image per number; its photo, image and label all hold the number."""
    image = torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1, 1)
    return LabelImages(image.clone(), image.clone(), image[:, 0].clone())


def numbers(images):
    assert torch.equal(images.photos_BCHW, images.image_BCHW)
    assert torch.equal(images.labels_BHW, images.image_BCHW[:, 0])
    return images.image_BCHW.flatten().int().tolist()


def test_a_pool_of_none_gives_back_what_is_new():
    new = numbered(1, 2)
    assert ImagePool(0).exchange(new, epoch=0) is new


def test_it_fills_up_first():
    pool = ImagePool(4)
    assert numbers(pool.exchange(numbered(0, 1), epoch=0)) == [0, 1]
    assert numbers(pool.exchange(numbered(2, 3), epoch=0)) == [2, 3]


def test_then_every_second_image_is_an_earlier_one_that_leaves_the_pool():
    torch.manual_seed(0)
    pool, seen, earlier = ImagePool(10), [], 0
    for start in range(0, 400, 4):
        shown = numbers(pool.exchange(numbered(*range(start, start + 4)), epoch=0))
        earlier += sum(number < start for number in shown)
        seen += shown
    assert 0.4 < earlier / 390 < 0.6
    given_twice = len(seen) - len(set(seen))
    assert given_twice == 10, "the first ten are shown as new, and once more when they leave the pool"


def test_a_new_epoch_empties_it():
    torch.manual_seed(0)
    pool = ImagePool(3)
    pool.exchange(numbered(0, 1, 2), epoch=0)
    batches = [numbered(start, start + 1, start + 2) for start in range(10, 40, 3)]
    shown = [number for batch in batches for number in numbers(pool.exchange(batch, epoch=1))]
    assert min(shown) == 10


@pytest.mark.parametrize("size", [1, 50])
def test_the_number_of_images_stays(size):
    pool = ImagePool(size)
    for _ in range(5):
        assert len(numbers(pool.exchange(numbered(1, 2, 3), epoch=0))) == 3


def test_it_keeps_images_not_the_batches_that_they_came_in():
    pool = ImagePool(2)
    pool.exchange(numbered(*range(8)), epoch=0)
    (kept,) = {tensor.untyped_storage().nbytes() for images in pool._kept for tensor in images}
    assert kept == 4


@pytest.mark.parametrize(
    ("options", "size_px", "message"),
    [
        ({"gan__receptive_field_px": 70}, (64, 128), r"gan\.receptive_field_px.*64x128 px, but got 70"),
        ({"gan__loss": "hinge", "gan__label_smoothing": 0.1}, (64, 64), r"gan\.label_smoothing must be 0"),
        ({"gan__optim__final_lr": 1.0}, (64, 64), r"gan\.optim\.final_lr must be at most gan\.optim\.lr"),
        ({"gan__optim__l2": 0.1, "gan__optim__l2_layers": "encoder."}, (64, 64), r"unknown gan\.optim\.l2_layers"),
        ({"gan__optim__warmup_epochs": 2}, (64, 64), r"gan\.optim\.warmup_epochs must be below"),
        (NOTHING, (64, 64), r"gan\.adversarial_weight, .* must be above 0"),
    ],
)
def test_a_discriminator_that_cannot_work_is_refused(options, size_px, message):
    with pytest.raises(ConfigError, match=message):
        check_adversary(gan_config(**options).gan, 2, size_px)


def test_one_that_can_work_and_none_pass():
    check_adversary(gan_config(gan__receptive_field_px=70).gan, 2, (70, 128))
    check_adversary(tiny_config(gan__receptive_field_px=286).gan, 2, (8, 8))
    check_adversary(gan_config(gan__receptive_field_px=286, gan__adversarial_weight=0).gan, 2, (8, 8))
