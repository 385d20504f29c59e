"""``segray data``: draw, check, show, sample and decode data sets."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segray.cli.progress import progress_bar
from segray.cli.sizes import parse_size
from segray.tuning import options

if TYPE_CHECKING:
    from segray.config import DataConfig

app = typer.Typer(no_args_is_help=True, help="Draw, check, show, sample and decode data sets.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Data set, such as cityscapes; docs/data.md lists them")]
Root = Annotated[str, typer.Argument(metavar="ROOT", help="Folder of the data set")]

_ARGUMENTS = {"data.dataset": "argument NAME", "data.root": "argument ROOT"}


@app.command()
def synth(
    name: Name,
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="Folder to make")],
    train: Annotated[int, typer.Option(help="Number of training scenes")] = 16,
    val: Annotated[int, typer.Option(help="Number of validation scenes")] = 4,
    test: Annotated[int, typer.Option(help="Number of test scenes")] = 0,
    size: Annotated[str, typer.Option(metavar="HxW", help="Height x width of a scene in pixels")] = "128x256",
    seed: Annotated[int, typer.Option(help="Seed of the scenes")] = 0,
) -> None:
    """Draw street scenes and write them in the layout of a data set."""
    from segray.config import set_options
    from segray.data.synthetic import NEEDED_VALUES, write_scenes

    size_px = parse_size("--size", size)
    with progress_bar("drawing") as progress:
        write_scenes(name, dest, train=train, val=val, test=test, size_px=size_px, seed=seed, progress=progress)
    print(f"wrote {train + val + test} scenes of {size}, height x width, to {dest} ({train=}, {val=}, {test=})")
    print("check:", f"segray data check {name} {shlex.quote(str(dest))}", set_options(NEEDED_VALUES.get(name, {})))


@app.command()
def check(
    name: Name,
    root: Root,
    values: options.Set = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object")] = False,
) -> None:
    """Decode every file of a data set; list problems, classes, sizes, splits and duplicates.

    The exit code is 0 without problems, 1 with problems, and 2 if nothing can be checked.
    """
    from segray.cli.check_table import print_report
    from segray.data.tools.check import check as check_data

    with progress_bar("decoding") as progress:
        report = check_data(data_config(name, root, values), progress)
    print_report(report, as_json=as_json)
    if report.problems:
        raise typer.Exit(1)


@app.command()
def show(
    name: Name,
    root: Root,
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG or JPEG file to write")] = Path("grid.png"),
    values: options.Set = None,
    policy: Annotated[str | None, typer.Option(help="Draw training crops with this augmentation policy")] = None,
    images: Annotated[int, typer.Option(help="Number of images to draw, spread over the split")] = 4,
    split: Annotated[str, typer.Option(help="train, val or test")] = "train",
    seed: Annotated[int, typer.Option(help="Seed of the choice of images and crops")] = 0,
) -> None:
    """Draw images of a data set with their labels in colour, a legend and class shares.

    With --policy, also draw crops as in training, of the size in --set data.crop_px='[256, 512]'.
    """
    from segray.data.tools.show import show as show_data

    config = data_config(name, root, values)
    if policy is not None:
        config = config.model_copy(update={"policy": policy})
    print(show_data(config, output, split=split, num_images=images, augmented=policy is not None, seed=seed))


@app.command()
def sample(
    name: Annotated[str, typer.Argument(metavar="NAME", help="cityscapes or gta5")],
    root: Root,
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="Folder to make")],
    values: options.Set = None,
    train: Annotated[int, typer.Option(help="Number of images for trainA")] = 2000,
    test: Annotated[int, typer.Option(help="Number of images for testA")] = 500,
    size: Annotated[str | None, typer.Option(metavar="HxW", help="Height x width (default: as the images)")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the choice of images")] = 0,
) -> None:
    """Draw a random sample of a data set into the trainA and testA folders of SG-GAN."""
    from segray.data.tools.sample import sample as draw_sample

    config = data_config(name, root, values)
    size_px = parse_size("--size", size) if size else None
    with progress_bar("writing") as progress:
        cut = draw_sample(config, dest, train=train, test=test, seed=seed, size_px=size_px, progress=progress)
    print(f"wrote {train} images to trainA and {test} to testA in {dest}")
    if cut:
        print(f"note: too few images to keep a sequence whole on one side: {', '.join(cut)}")
    print(f"check: segray data check trainA {shlex.quote(str(dest))}")


@app.command()
def cache(
    name: Name,
    root: Root,
    values: options.Set = None,
    every_node: Annotated[
        bool, typer.Option("--every-node", help="Build on every node of the Ray cluster, not only on this machine")
    ] = False,
) -> None:
    """Decode a data set ahead of training into the cache that trials read: see docs/cache.md."""
    config = data_config(name, root, values)
    if every_node:
        from segray.cluster.node_cache import build_on_every_node

        raise typer.Exit(int(any(node.error for node in build_on_every_node(config))))
    from segray.data.cache.entry import folder_bytes
    from segray.data.preparation import prepare
    from segray.text import data_size

    with progress_bar("decoding") as progress:
        prepared = prepare(config, progress=progress)
    folder = prepared.train.folder
    num_images = sum(len(shard) for shard in (prepared.train, prepared.val, prepared.test))
    print(f"{num_images} images, {data_size(folder_bytes(folder))}, in {folder}")


def data_config(name: str, root: str, values: list[str] | None) -> DataConfig:
    """Return the config of a data set: the defaults with ``KEY=VALUE`` applied (dotted keys, values in YAML).

    Raises:
        ConfigError: A value has no key, a key is unknown or not about data, or a value breaks its rule.
    """
    from segray.config import RunConfig

    default = RunConfig()
    keys = [key for key in default.flat() if key.startswith("data.")]
    given = options.parse_values(values, keys, _ARGUMENTS)
    return default.with_values({**given, "data.dataset": name, "data.root": root}).data
