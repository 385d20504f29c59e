"""Lines on what trials are judged on, for before the first one starts."""

from __future__ import annotations

from collections.abc import Iterator

from segray import text
from segray.config import DataConfig
from segray.data.preparation import PreparedData


def describe_judging(config: DataConfig, data: PreparedData, *, who: str) -> Iterator[str]:
    """Say which classes a score will not cover, and whether there will be a test score.

    Args:
        config: The data section of every trial.
        data: The prepared data.
        who: The model that is judged in the end, such as ``the best trial``.

    Yields:
        One line for the classes that validation lacks, if it lacks any; one if validation images train; and one for
        the test images.
    """
    figure = "unbiased figure" if config.all_data else "test figure"
    missing = [name for name in data.scored_space.names if name not in data.val_classes]
    if missing:
        mean = text.mean_over(len(data.val_classes), len(data.scored_space.names))
        yield f"no validation image has: {', '.join(missing)}; mIoU is the {mean}"
    if config.all_data:
        yield (
            f"the {text.counted(len(data.val), 'validation image')} train too, so val scores are on training images "
            "and choose nothing: the last weights are kept"
        )
    if data.test.judged_pixels.any():
        yield f"{who} is judged on {text.counted(len(data.test), 'test image')} at the end"
    elif len(data.test):
        yield f"no {figure}: every label pixel of the {len(data.test)} test images of {config.dataset} is void"
    else:
        yield (
            f"no {figure}: {config.dataset} has no labelled test images here; set data.holdout=0.1 to keep a part "
            "of the training images for the end"
        )
