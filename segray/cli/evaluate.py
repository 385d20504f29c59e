"""``segray evaluate``: scores of a trained model on labelled images."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from segray.cli import model_options
from segray.tuning import options

_OWN_OPTIONS = {"data.dataset": "--dataset", "data.root": "--data"}


def evaluate(
    run: model_options.Run,
    split: Annotated[
        str, typer.Option(help="test, val (repeats the validation), train, or all with --dataset")
    ] = "test",
    trial: model_options.Trial = None,
    ensemble: model_options.Ensemble = None,
    data: Annotated[str | None, typer.Option(help="Folder of the data set (default: where the model trained)")] = None,
    dataset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Another data set with the same class names, in the folder --data"),
    ] = None,
    values: options.Set = None,
    corruptions: Annotated[
        bool, typer.Option("--corruptions", help="Repeat under rain, snow, fog, night, blur, noise and JPEG")
    ] = False,
    device: model_options.Device = None,
    window: model_options.Window = None,
    overlap: model_options.Overlap = 0.5,
    tta: model_options.Tta = "",
    grid: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Picture to draw: photo, truth and prediction of six images")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="JSON file to write with all scores")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Evaluate a model on labelled images at their own size; keep the test scores of a run's best trial.

    The test images are those that chose no trial: see docs/evaluate.md.
    """
    from segray.cli.scores_table import print_scores
    from segray.config import RunConfig
    from segray.data.files.encode import check_picture
    from segray.files import output_path
    from segray.folder import location_below, open_folder
    from segray.inference.sweep_scores import Evaluation, evaluate_model
    from segray.shown import redacted

    picture = None if grid is None else check_picture(grid, data_root=data or "")
    target = None if output is None else output_path(output, data_root=data or "")
    keys = [key for key in RunConfig().flat() if key.startswith("data.")]
    asked = Evaluation(
        split=split,
        root=data,
        dataset=dataset,
        values=options.parse_values(values, keys, _OWN_OPTIONS),
        corruptions=corruptions,
        grid=picture,
    )
    model = model_options.choose_model(
        run, trial=trial, ensemble=ensemble, device=device, window=window, overlap=overlap, tta=tta
    ).load()
    root = data or model.config.data.root
    for path in (grid, output):
        if path is not None:
            output_path(path, data_root=root)  # the model tells where the data set is
    found, is_kept = evaluate_model(model, asked, partial(print, file=sys.stderr, flush=True))
    if as_json:
        print(found.model_dump_json(indent=2))
    else:
        print_scores(found)
    if grid is not None:
        print(f"wrote {grid}", file=sys.stderr)
    if target is not None:
        content = found.model_dump_json(indent=2).encode()
        open_folder(target.parent).write_bytes(target.name, content)
        print(f"wrote {output}", file=sys.stderr)
    if is_kept and not as_json:
        assert model.location is not None
        assert model.location.sweep is not None
        print(f"wrote {redacted(location_below(model.location.sweep.folder.path, 'test.json'))}")
