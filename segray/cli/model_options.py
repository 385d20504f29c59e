"""Options that all commands share which use a trained model: which model, on which device, and how it predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from segray.cli.sizes import parse_size
from segray.errors import ConfigError

if TYPE_CHECKING:
    from segray.inference.choice import ModelChoice
    from segray.inference.predictor import Predictor

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
Ensemble = Annotated[
    int | None, typer.Option("--ensemble", metavar="K", help="Average the predictions of the run's K best trials")
]


def choose_model(
    run: str,
    *,
    trial: str | None = None,
    ensemble: int | None = None,
    device: str | None = None,
    window: str | None = None,
    overlap: float = 0.5,
    tta: str = "",
) -> ModelChoice:
    """Return the choice that a command's options make, without loading the model.

    Raises:
        ConfigError: An option has a wrong form, or two exclude each other.
    """
    from segray.inference.choice import ModelChoice

    window_px = parse_size("--window", window) if window else None
    return ModelChoice(
        location=run,
        trial=trial,
        ensemble=ensemble,
        device=device,
        window_px=window_px,
        overlap=overlap,
        tta=tta,
    )


def data_root(model: Predictor, dataset: str) -> str:
    """Return the folder of a data set that a command needs, if the model was trained on it.

    Raises:
        ConfigError: The model was trained on another data set, so only the person knows the folder.
    """
    config = model.config.data
    if config.dataset != dataset or not config.root:
        raise ConfigError(
            f"--data must name the folder of {dataset}, because the model was trained on {config.dataset or 'no data'}"
        )
    return config.root
