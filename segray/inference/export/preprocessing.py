"""The input and output of a model, in words and as metadata for exported files."""

from __future__ import annotations

import json
from importlib.metadata import version

from segray.config import RunConfig, SizePx
from segray.inference.export.graph import GraphOptions
from segray.labels import LabelSpace
from segray.models import SegmentationModel


def steps_in_words(model: SegmentationModel, resize_px: SizePx | None) -> list[str]:
    """Return the steps from a photo to labels, one sentence each; ``segray.load_model`` does all of them."""
    normalisation = model.normalisation
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (normalisation.mean, normalisation.std))
    steps = ["The photo is 8-bit RGB, upright, with values from 0 to 255."]
    if resize_px is not None:
        steps.append(
            f"It is resized to {resize_px[0]}x{resize_px[1]} px (height x width): by area (OpenCV's INTER_AREA) if it "
            "shrinks, else linearly (INTER_LINEAR)."
        )
    steps.append(f"Values are divided by 255 and normalised per channel: mean {mean}; standard deviation {std}.")
    padding = f"Sides are padded to a multiple of {model.stride} px at the bottom and on the right"
    if model.min_side_px > 1:
        padding += f", and to at least {model.min_side_px} px"
    steps.append(f"{padding}, by repeating the last row and column; the padding is cut off the output.")
    if model.paints:
        steps.append("The network paints RGB; the class of the nearest colour has the largest logit.")
    back = ", after the logits were resized back bilinearly" if resize_px is not None else ""
    steps.append(f"The label of a pixel is the class with the largest logit{back}.")
    return steps


def metadata(
    model: SegmentationModel, config: RunConfig, label_space: LabelSpace, options: GraphOptions, title: str
) -> dict[str, str]:
    """Return what a program needs to use an exported file, as text; lists are JSON."""
    resize_px = config.data.resize_px
    photo = "RGB, uint8, 0 to 255, (batch, 3, height, width)"
    if resize_px is not None and not options.resize:
        photo += f", resized to {resize_px[0]}x{resize_px[1]} px by area if it shrinks, else linearly"
    inside = ["normalisation", "padding"]
    inside += [name for name, is_inside in (("resize", options.resize), ("argmax", options.argmax)) if is_inside]
    output = "labels, uint8, (batch, height, width)" if options.argmax else "logits, float32, (batch, classes, ...)"
    return {
        "segray.version": version("segray"),
        "segray.description": f"street-scene segmentation: {title}",
        "segray.classes": json.dumps(label_space.names, ensure_ascii=False),
        "segray.colors": json.dumps(label_space.colors),
        "segray.input": photo,
        "segray.output": output,
        "segray.normalisation": model.normalisation.model_dump_json(),
        "segray.resize_px": json.dumps(resize_px),
        "segray.inside": ", ".join(inside),
        "segray.dataset": config.data.dataset,
    }
