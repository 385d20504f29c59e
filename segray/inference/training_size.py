"""The parts of the training that an evaluation needs: the size of its batches, and the weights of its loss."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from segray.config import RunConfig
from segray.data.preparation import prepare
from segray.errors import SegrayError
from segray.foreign import in_short
from segray.inference.predictor import Predictor
from segray.inference.split_data import SplitData


def batch_size(config: RunConfig, data: SplitData) -> int:
    """Return how many photos the model gets at once: as many as in validation, because kernels may depend on it.

    A batch has no more pixels than a training batch, and holds photos of one size.

    Raises:
        DataError: The header of a file cannot be read.
    """
    resize_px = config.data.resize_px
    sizes = {resize_px} if resize_px else {data.dataset.reader.size(pair) for pair in data.pairs}
    if len(sizes) > 1:
        return 1
    train_px = config.data.crop_px or resize_px or data.dataset.reader.size(data.first_train or data.pairs[0])
    return max(1, config.train.batch_size * math.prod(train_px) // math.prod(next(iter(sizes))))


def class_pixels(model: Predictor, data: SplitData, announce: Callable[[str], None]) -> NDArray[np.int64] | None:
    """Return the pixels of each class in the training images, if the loss weighs classes by them; else ones.

    None means that another data set is evaluated where the model's own is not at hand: there is no loss then.

    Args:
        model: The model.
        data: Images of the model's own data set, or of another one, on whose training images nothing depends.
        announce: Called with lines on decoding.

    Raises:
        DataError: The model's own data set cannot be read.
    """
    loss = model.config.loss
    if "balanced" not in (loss.class_weights, loss.focal_alpha):
        return np.ones(model.label_space.num_classes, np.int64)
    try:
        return np.asarray(prepare(data.config if data.is_own else model.config.data, announce).train.class_pixels)
    except SegrayError as error:
        if data.is_own:
            raise
        announce(f"no loss: it weighs classes by the training images, which are not at hand ({in_short(error)})")
        return None
