"""Options that all commands share which use a trained model: which model, on which device, and how it predicts."""

from __future__ import annotations

from typing import Annotated

import typer

Run = Annotated[
    str,
    typer.Argument(metavar="RUN", help="Folder or URL of a run (its best trial), trial, checkpoint or exported model"),
]
Trial = Annotated[str | None, typer.Option(help="Id of a trial or repeat of the run (default: the best trial)")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 or mps (default: a GPU if there is one)")]
Window = Annotated[
    str | None, typer.Option(metavar="HxW", help="Predict in sliding windows of this size (default: whole photos)")
]
Overlap = Annotated[float, typer.Option(help="Share of a window's side that neighbours share at least")]
Tta = Annotated[
    str, typer.Option(metavar="LIST", help="Test-time augmentation: flip and factors of the size, as flip,0.75,1.25")
]
