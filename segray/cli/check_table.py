"""The report of ``segray data check``: as text for a person, or as JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from segray import text
from segray.data.tools.check import ClassCount, Report
from segray.shown import cell, printable

MAX_SIZES = 10
"""Number of image sizes that are printed; the others are counted."""


def print_report(report: Report, *, as_json: bool = False) -> None:
    """Print a report to standard output, every problem on a line of its own."""
    if as_json:
        print(json.dumps({"ok": not report.problems, **asdict(report), "num_pixels": report.num_pixels}, indent=2))
        return
    console = Console(highlight=False)

    def say(line: str) -> None:
        console.print(printable(line), markup=False, soft_wrap=True)

    say(_headline(report))
    if report.sizes:
        say(f"sizes, height x width: {_sizes(report)}")
    if report.num_pixels:
        table = classes_table(report)
        # With a console as wide as the table, the terminal wraps whole lines; rich would fold every cell instead.
        unlimited = console.options.update(max_width=10_000)
        console.width = max(console.width, Measurement.get(console, unlimited, table).maximum)
        console.print("", table, "", sep="\n")
    for kind, lines in (("problem", report.problems), ("note", report.notes)):
        for line in lines:
            say(f"{kind}: {line}")
    say(_conclusion(report))


def classes_table(report: Report) -> Table:
    """Return a table of pixels, share and images of every class and of void, in training-id order."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("id", justify="right")
    table.add_column("class", no_wrap=True)
    for name in ("pixels", "share", "images", "in train"):
        table.add_column(name, justify="right", no_wrap=True)
    for index, count in enumerate(report.classes):
        table.add_row(str(index), *_cells(count, report.num_pixels))
    # The name differs from "void", because clusters may have that name, too.
    table.add_row("", *_cells(replace(report.void, name="void (ignored)"), report.num_pixels), style="dim")
    return table


def _cells(count: ClassCount, num_pixels: int) -> Sequence[str]:
    share = f"{100 * count.pixels / num_pixels:.2f} %"
    return cell(count.name), f"{count.pixels:,}", share, str(count.images), str(count.train_images)


def _headline(report: Report) -> str:
    parts = ", ".join(f"{count} {split}" for split, count in report.splits.items())
    divided = f": {parts} (divided by {report.division})" if parts else ""
    return f"{report.dataset} in {report.root}{divided}"


def _sizes(report: Report) -> str:
    shown = [f"{height}x{width} ({count} images)" for (height, width), count in report.sizes[:MAX_SIZES]]
    rest = len(report.sizes) - MAX_SIZES
    return ", ".join(shown) + (f" and {rest} more sizes" if rest > 0 else "")


def _conclusion(report: Report) -> str:
    num_problems, num_images = len(report.problems), sum(report.splits.values())
    found = "no problems" if not num_problems else text.counted(num_problems, "problem")
    if not num_images:
        return f"{found}: nothing was decoded"
    num_decoded = sum(count for _, count in report.sizes)
    return f"{found}; {num_decoded} of {num_images} images decoded"
