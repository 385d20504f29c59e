"""``segray preflight``: check a study's sweep, and say what it will cost before it starts."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

STUDY_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Settings of the command: options that it does not know are the study's."""


def preflight(
    context: typer.Context,
    study: Annotated[Path, typer.Argument(help="A study, such as sweeps/camvid_search.py; its own options follow")],
    models: Annotated[int, typer.Option(min=1, help="Most models to time; the most often drawn ones are taken")] = 8,
    nodes: Annotated[int, typer.Option(min=1, help="Machines like this one that the sweep will run on")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Check a study's sweep, time a few steps of its models, and print what the sweep will cost.

    Starts no trial and nothing of Ray; decodes the images, as the sweep would.
    """
    from segray.cli.cost_table import print_cost
    from segray.process import importing_much

    # The output is the estimate alone; a study may print too.
    with redirect_stdout(sys.stderr):
        with importing_much():
            from segray.tuning.preflight.cost import estimate_cost
            from segray.tuning.study_file import asked_sweep

        asked = asked_sweep(study, context.args)
        if asked.make_data:
            asked.make_data()
        announce = partial(print, file=sys.stderr, flush=True)
        cost = estimate_cost(asked.sweep, num_nodes=nodes, max_models=models, announce=announce)
    print_cost(cost, as_json=as_json)
