"""The output of ``segray evaluate``: a table of scores for a person, JSON for a program."""

from __future__ import annotations

import sys
from functools import partial

from rich.console import Console
from rich.table import Table

from segray import text
from segray.folder import location_below
from segray.inference.sweep_scores import evaluate_sweep
from segray.records import SplitScores
from segray.shown import cell, printable, redacted


def print_evaluation(
    location: str, *, split: str, trial_id: str | None, data_root: str | None, as_json: bool = False
) -> None:
    """Evaluate a trial with ``evaluate_sweep`` and print its scores to standard output.

    Progress goes to standard error.

    Args:
        location: Folder or URL of the sweep.
        split: test or val.
        trial_id: The trial or repeat; None for the best trial.
        data_root: Folder of the data set on this machine; None for the folder that the sweep used.
        as_json: Print one JSON object instead of a table.
    """
    announce = partial(print, file=sys.stderr, flush=True)
    found, is_kept = evaluate_sweep(location, split=split, trial_id=trial_id, data_root=data_root, announce=announce)
    if as_json:
        print(found.model_dump_json(indent=2))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("class")
    table.add_column("IoU", justify="right")
    for name, iou in zip(found.classes, found.iou, strict=True):
        table.add_row(cell(name), text.percent(iou))
    console = Console(highlight=False)
    console.print(table)
    console.print(printable("\n".join(_lines(found))), markup=False, soft_wrap=True)
    if is_kept:
        print(f"wrote {redacted(location_below(location, 'test.json'))}")


def _lines(found: SplitScores) -> list[str]:
    recorded, clusters = text.percent(found.recorded_val_miou), found.cluster_accuracy
    return [
        f"{found.split} mIoU {text.percent(found.miou)} ({text.mean_over(found.num_in_mean, len(found.classes))}) of "
        f"trial {found.trial}, epoch {found.epoch}, on {found.num_images} images (val mIoU when it was trained: "
        f"{recorded})",
        f"pixel accuracy {text.percent(found.pixel_accuracy)}, "
        f"mean class accuracy {text.percent(found.mean_class_accuracy)}, "
        f"frequency-weighted IoU {text.percent(found.frequency_weighted_iou)}",
        *([] if clusters is None else [f"pixel accuracy on the K-Means clusters of training {text.percent(clusters)}"]),
    ]
