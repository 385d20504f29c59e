"""``segray soup``: average the weights of a run's best trials into one model."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from segray.cli import model_options

if TYPE_CHECKING:
    from segray.inference.soup import Soup
    from segray.objective import Objective


def soup(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder or URL of a sweep, such as runs/camvid")],
    to: Annotated[str, typer.Option(metavar="FOLDER", help="Folder or URL of the model to write")],
    top: Annotated[
        int | None, typer.Option(metavar="K", help="Number of trials, the best first (default: all with its network)")
    ] = None,
    method: Annotated[
        str, typer.Option(metavar="[greedy|uniform]", help="greedy: keep what does not lower the val score")
    ] = "greedy",
    data: Annotated[
        str | None, typer.Option(help="Folder of the data set, if it lies elsewhere on this machine")
    ] = None,
    device: model_options.Device = None,
) -> None:
    """Average the weights of a run's best trials that have one network, and write the model if it could be scored."""
    from segray.folder import open_folder
    from segray.inference.soup import check_place, make_soup, parse_method, soup_members

    chosen, target = parse_method(method), open_folder(to)
    check_place(target)
    members, others = soup_members(open_folder(run), top)
    from segray.config import run_config
    from segray.inference.scorer import open_scorer

    announce = partial(print, file=sys.stderr, flush=True)
    sweep = members[0].sweep
    assert sweep is not None
    config = run_config(members[0].folder.read_json("config.json"))
    check_place(target, data or config.data.root)
    scorer = open_scorer(sweep, config, data_root=data, device=device, announce=announce)
    _print(make_soup(members, others, chosen, scorer, target, announce), to)


def _print(soup: Soup, to: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from segray.shown import cell, printable, redacted

    objective = soup.objective
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("trial")
    for name in (objective.label, "soup with it"):
        table.add_column(cell(name), justify="right")
    table.add_column("in the soup")
    for item in soup.ingredients:
        row = (objective.shown(item.recorded), objective.shown(item.tried), "yes" if item.is_in else "no")
        table.add_row(cell(item.trial), *row)
    Console(highlight=False).print(table)
    print(printable("\n".join(_lines(soup))))
    print(f"wrote {redacted(to)}")


def _lines(soup: Soup) -> list[str]:
    objective, best = soup.objective, soup.ingredients[0].trial
    lines = [_gain(objective, objective.label, soup.val, soup.best_val, best)]
    if soup.test is not None:
        lines.append(_gain(objective, f"test {objective.bare_label}", soup.test, soup.best_test, best))
    else:
        lines.append("There are no test images, and the val score chose the soup, so its gain is flattered.")
    if soup.where:
        lines.append(f"All scores are{soup.where}; segray evaluate scores at the labels' own size.")
    if soup.num_in == 1:
        lines.append(f"No other trial helped: the soup is trial {best} alone.")
    if soup.left_out:
        lines.append(f"Trials with another network: {', '.join(soup.left_out)}.")
    return lines


def _gain(objective: Objective, label: str, soup: float | None, best: float | None, trial: str) -> str:
    gain = "" if soup is None or best is None else f", {objective.shown_difference(soup - best)}"
    return f"{label} of the soup {objective.shown(soup)}, of trial {trial} {objective.shown(best)}{gain}"
