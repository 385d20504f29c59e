"""``segray predict``: segment photos, folders, a split of a data set or videos with a trained model."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated

import typer

from segray import text
from segray.cli import model_options
from segray.cli.progress import progress_bar
from segray.errors import ConfigError, DataError
from segray.shown import printable, redacted

if TYPE_CHECKING:
    from segray.inference.choice import ModelChoice
    from segray.inference.pipeline import Predicted
    from segray.inference.predict import Job, Request

NUM_CLASSES_SHOWN = 5


def predict(
    run: model_options.Run,
    photos: Annotated[
        list[str] | None,
        typer.Argument(metavar="PHOTOS...", help="Photos, folders, videos, and patterns such as 'photos/*.png'"),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder to write, or a .png or .jpg file for one photo  [default: for one photo a picture "
            "named after --save, such as overlay.png; else predictions]",
            show_default=False,
        ),
    ] = None,
    save: Annotated[
        str, typer.Option(metavar="LIST", help="What to write: overlay, color, label_ids, train_ids, probabilities")
    ] = "overlay",
    split: Annotated[
        str | None, typer.Option(help="Instead of photos: test, val or train of the run's data set")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Folder of the data set, if it lies elsewhere on this machine")
    ] = None,
    trial: model_options.Trial = None,
    ensemble: model_options.Ensemble = None,
    device: model_options.Device = None,
    window: model_options.Window = None,
    overlap: model_options.Overlap = 0.5,
    tta: model_options.Tta = "",
    batch: Annotated[int, typer.Option(help="Photos of one size that the model gets at once")] = 1,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Pass over photos that do not decode; the exit code is then 1")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that are in the folder")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Keep results that are in the folder; do the rest")] = False,
    distributed: Annotated[bool, typer.Option("--distributed", help="Use all machines of the Ray cluster")] = False,
) -> None:
    """Segment photos with a trained model, and draw the classes over them.

    The exit code is 0 if all photos are predicted, 1 if --keep-going passed over some, and 2 if something cannot work.
    """
    if overwrite and resume:
        raise ConfigError("--overwrite and --resume exclude each other; give one of them")
    from segray.inference.location import find_model

    find_model(run, trial)  # a quick check before seconds of imports
    from segray.inference.output_place import parse_kinds
    from segray.inference.predict import Request

    request = Request(
        places=photos or (),
        split=split,
        data_root=data,
        output=output,
        kinds=parse_kinds(save),
        existing="overwrite" if overwrite else "resume" if resume else "refuse",
        batch_size=batch,
        keep_going=keep_going,
    )
    choice = model_options.choose_model(
        run, trial=trial, ensemble=ensemble, device=device, window=window, overlap=overlap, tta=tta
    )
    _run(choice, request, distributed=distributed)


@dataclass
class _Tally:
    """The outcomes of the photos so far."""

    num_predicted: int = 0
    shares: dict[str, float] = field(default_factory=dict)
    """Class -> sum of its shares of the photos"""
    failures: list[str] = field(default_factory=list)

    def add(self, found: Predicted) -> None:
        if found.error:
            self.failures.append(found.error)
            return
        self.num_predicted += 1
        for name, share in found.shares.items():
            self.shares[name] = self.shares.get(name, 0.0) + share

    def means(self) -> str:
        """Return the mean shares of the largest classes: ``road 41%, sky 20%``."""
        largest = sorted(self.shares.items(), key=lambda item: -item[1])[:NUM_CLASSES_SHOWN]
        return ", ".join(f"{name} {share / self.num_predicted:.0%}" for name, share in largest)


def _run(choice: ModelChoice, request: Request, *, distributed: bool) -> None:
    from segray.inference.predict import prepare
    from segray.inference.shots import count_shots

    # The machine of the command may lack the GPUs of the cluster; it only needs the model's classes.
    job = prepare(replace(choice, device="cpu").load if distributed else choice.load, request)
    total = count_shots(job.files)
    tally = _Tally()
    with _results(job, choice, distributed=distributed) as results, progress_bar("predicting") as progress:
        try:
            for number, found in enumerate(results, start=1):
                tally.add(found)
                progress(number, max(total, number))
        except DataError as error:
            raise DataError(f"{error}{_advice(job, tally)}") from None
    for failure in tally.failures:
        print(printable(redacted(f"not predicted: {failure}")), file=sys.stderr)
    print(printable(redacted(_summary(job, tally))))
    if tally.failures:
        raise typer.Exit(1)


@contextmanager
def _results(job: Job, choice: ModelChoice, *, distributed: bool) -> Iterator[Iterator[Predicted]]:
    if not distributed:
        yield job.results()
        return
    from segray.cluster.distributed_prediction import on_cluster

    with on_cluster(job, choice) as results:
        yield results


def _advice(job: Job, tally: _Tally) -> str:
    if len(job.files) == 1 and not tally.num_predicted:
        return ""
    before = text.counted(tally.num_predicted, "photo") + (
        " before it is" if tally.num_predicted == 1 else " before it are"
    )
    return (
        f"; {before} in {job.outputs.place}; --keep-going passes over photos that do not decode, and --resume keeps "
        "what is there"
    )


def _summary(job: Job, tally: _Tally) -> str:
    from segray.inference.outputs import PredictionFolder

    place, title = job.outputs.place, job.model.title
    mostly = f"; mostly {tally.means()}" if tally.num_predicted else ""
    if not isinstance(job.outputs, PredictionFolder):
        return f"{place}: {title}{mostly}"
    parts = [f"{text.counted(tally.num_predicted, 'photo')} as {', '.join(job.request.kinds)}"]
    if job.done:
        parts.append(f"{len(job.done)} were there")
    if tally.failures:
        parts.append(f"{len(tally.failures)} not predicted")
    return f"{place}: {', '.join(parts)}; {title}{mostly}"
