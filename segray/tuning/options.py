"""Command-line options that studies and single runs share; imports nothing heavy, for the sake of --help."""

from __future__ import annotations

from typing import Annotated

import typer

Storage = Annotated[str | None, typer.Option(help="Path or URL for sweeps (default: runs)")]
WorkersPerTrial = Annotated[int, typer.Option(help="Data-parallel workers of a trial")]
CpusPerWorker = Annotated[float | None, typer.Option(help="CPUs of a worker")]
GpusPerWorker = Annotated[float | None, typer.Option(help="GPUs of a worker; may be 0.5")]
EncoderWeights = Annotated[str | None, typer.Option(help="none, imagenet, auto or a file")]
