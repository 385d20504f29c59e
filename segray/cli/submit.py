"""``segray submit``: a zip of predictions for a benchmark's server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segray.cli import model_options

if TYPE_CHECKING:
    from segray.inference.submission.benchmark import Benchmark

Name = Annotated[str, typer.Argument(metavar="BENCHMARK", help="cityscapes or kitti_road")]
Run = Annotated[str | None, typer.Argument(metavar="[RUN]", help="Folder or URL of a run, trial, checkpoint or model")]
Data = Annotated[str | None, typer.Option(metavar="ROOT", help="Folder of the data set (default: the run's data)")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Zip file to write")]
Split = Annotated[str | None, typer.Option(help="Split to predict (default: the benchmark's test split)")]
Check = Annotated[Path | None, typer.Option(metavar="ZIP", help="Check this zip instead of making one")]


OF_A_NEW_ZIP = ("output", "trial", "ensemble", "device", "window", "overlap", "tta")
"""Names of the options that only a new zip uses"""


def submit(
    context: typer.Context,
    benchmark: Name,
    run: Run = None,
    data: Data = None,
    output: Output = Path("submission.zip"),
    split: Split = None,
    check: Check = None,
    trial: model_options.Trial = None,
    ensemble: model_options.Ensemble = None,
    device: model_options.Device = None,
    window: model_options.Window = None,
    overlap: model_options.Overlap = 0.5,
    tta: model_options.Tta = "",
) -> None:
    """Predict a benchmark's test images, write the zip that its server asks for, and check it.

    With --check and --data, check a zip that is there already.
    """
    from segray.cli.progress import progress_bar
    from segray.errors import ConfigError
    from segray.inference.submission import find_benchmark
    from segray.inference.submission.write import benchmark_photos, check_zip, write_submission

    rules, split = find_benchmark(benchmark, split)
    if check is not None:
        _check_options(context)
        _check(rules, split, check, run, data)
        return
    if run is None:
        raise ConfigError("name the RUN whose model predicts, or a zip to check: --check ZIP")
    check_zip(output, data_root=data or "")
    model = model_options.choose_model(
        run, trial=trial, ensemble=ensemble, device=device, window=window, overlap=overlap, tta=tta
    ).load()
    root = data or model_options.data_root(model, rules.dataset)
    target = check_zip(output, data_root=root)
    photos = benchmark_photos(rules, root, split)
    with progress_bar("predicting, then checking") as progress:
        number = write_submission(model, rules, photos, target, progress)
    _print_checked(output, target, number, split)
    official = rules.splits[0]
    print(f"next: {rules.next_step}" if split == official else f"note: {benchmark} itself scores the {official} split")


def _check_options(context: typer.Context) -> None:
    from segray.errors import ConfigError
    from segray.tuning.command import is_given

    given = [f"--{name}" for name in OF_A_NEW_ZIP if is_given(context, name)]
    if given:
        raise ConfigError(f"--check predicts and writes nothing, so leave {', '.join(given)} out")


def _check(rules: Benchmark, split: str, path: Path, run: str | None, data: str | None) -> None:
    from segray.cli.progress import progress_bar
    from segray.errors import ConfigError
    from segray.inference.submission.validate import check_submission
    from segray.inference.submission.write import benchmark_photos

    if run is not None or data is None:
        raise ConfigError("--check needs the photos' folder, --data ROOT, and no RUN")
    photos = benchmark_photos(rules, data, split)
    with progress_bar("checking") as checking:
        number = check_submission(path, rules, photos, checking)
    _print_checked(path, path, number, split)


def _print_checked(named: Path, path: Path, number: int, split: str) -> None:
    from segray.shown import printable
    from segray.text import counted, data_size

    size = data_size(path.stat().st_size)
    print(printable(f"{named}: {counted(number, 'image')} of the {split} split, {size}; checked, no problem found"))
