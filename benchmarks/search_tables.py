"""Make the tables that benchmarks/search_quality.py replays: real short trainings, written as CSV.

Command:        python benchmarks/search_tables.py TABLE [--camvid FOLDER] [-o FILE] [--processes 2]
Time:           6 to 11 minutes a table on two cores

Each row is an epoch of a training: the values of the config, its seed, the epoch, val mIoU, and the seconds that the
epoch took in a process with one thread. A config is trained with two seeds. A key without a value in a row is one that
the config does not use. Rows that the file has already are not trained again, so a run that was cut can go on.

The tables:
  camvid          a small U-Net on 48 photos of CamVid at 36x48, 9 epochs; focal_gamma depends on the loss
  camvid_epochs   the same, with the number of epochs searched
  scenes          the keys of camvid on drawn street scenes, for transfer from one data set to another
"""

from __future__ import annotations

import argparse
import csv
import itertools
import multiprocessing
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segray.config import RunConfig

Config = dict[str, object]
"""Dotted key -> value; a key that the config does not use is missing"""

NUM_SEEDS = 2
SCORE_COLUMNS = ("seed", "epoch", "score", "seconds")

LOSSES: tuple[Config, ...] = (
    {"loss.name": "cross_entropy"},
    {"loss.name": "dice"},
    {"loss.name": "focal", "loss.focal_gamma": 1.0},
    {"loss.name": "focal", "loss.focal_gamma": 4.0},
)


def axis(key: str, *values: object) -> list[Config]:
    """Return a config of one key for each value."""
    return [{key: value} for value in values]


def product(*axes: Sequence[Config]) -> list[Config]:
    """Return every combination of one config of each axis."""
    return [dict(itertools.chain(*(part.items() for part in parts))) for parts in itertools.product(*axes)]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table: what is trained, on which data."""

    dataset: str
    """camvid, or cityscapes for drawn scenes"""
    configs: Sequence[Config]

    @property
    def keys(self) -> list[str]:
        """All searched keys, in the order of the columns."""
        return list(dict.fromkeys(key for config in self.configs for key in config))


RATES = axis("optim.lr", 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
BATCHES = axis("train.batch_size", 4, 8, 16)
NORMS = axis("model.unet.batch_norm", True, False)
SCHEDULES = axis("optim.schedule", "onecycle", "cosine", "constant")
TABLES = {
    "camvid": Table(dataset="camvid", configs=product(RATES, BATCHES, LOSSES, SCHEDULES, NORMS)),
    "camvid_epochs": Table(
        dataset="camvid",
        configs=product(RATES, BATCHES, LOSSES[:3], SCHEDULES[:2], axis("train.epochs", 3, 6, 12)),
    ),
    "scenes": Table(dataset="cityscapes", configs=product(RATES, BATCHES, LOSSES, SCHEDULES, NORMS)),
}


def base_config(dataset: str, root: str, cache: str) -> RunConfig:
    """Return the run that every training of a table starts from."""
    return RunConfig().with_values(
        {
            "data.dataset": dataset,
            "data.root": root,
            "data.cache_dir": cache,
            "data.resize_px": [36, 48],
            "data.policy": "none",
            "data.split.kind": "ratio",
            "data.split.sizes": [48, 32, 0],
            "model.name": "unet",
            "model.encoder_weights": "none",
            "model.unet.widths": [8, 16, 32],
            "model.unet.convolutions": [1, 2, 2],
            "model.unet.decoder_widths": [16, 8],
            "train.epochs": 9,
        }
    )


def train(base: RunConfig, config: Config, seed: int) -> Iterator[tuple[int, float, float]]:
    """Train a config; yield epoch, val mIoU and seconds. A training that diverges ends early."""
    import torch

    from segray.data.preparation import prepare
    from segray.engine.loop import Diverged, fit
    from segray.engine.run_parts import build_step, build_train_loader, build_validation
    from segray.engine.state import build_state

    torch.set_num_threads(1)
    run, device = base.with_values({**config, "seed": seed}), torch.device("cpu")
    data = prepare(run.data, announce=lambda _: None)
    loader = build_train_loader(run, data, device, num_workers=0)
    validate = build_validation(run, data, device, micro_batches=1, num_workers=0)
    state = build_state(run, data.label_space, len(loader), device)
    try:
        for record in fit(state, build_step(run, data, device), loader, validate):
            yield record.epoch, float(record.scores["val_miou"] or 0.0), record.epoch_seconds
    except Diverged:
        return


def trained(job: tuple[RunConfig, Config, int]) -> tuple[Config, int, list[tuple[int, float, float]]]:
    """Train in a process of its own; return the config, the seed and the epochs."""
    base, config, seed = job
    return config, seed, list(train(base, config, seed))


def identity(config: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Return what tells a config from others, as the CSV keeps it."""
    return tuple(sorted((key, str(value)) for key, value in config.items() if str(value) != ""))


def done_before(path: Path, keys: Sequence[str]) -> set[tuple[object, int]]:
    """Return the trainings that a file has."""
    if not path.exists():
        return set()
    with path.open(newline="") as file:
        return {(identity({key: row[key] for key in keys}), int(row["seed"])) for row in csv.DictReader(file)}


def main() -> None:
    """Train what the table lacks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--camvid", help="folder of CamVid, for the tables on it")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    table = TABLES[options.table]
    output = options.output or Path(__file__).parent / "tables" / f"{options.table}.csv"
    with tempfile.TemporaryDirectory() as scratch:
        root = options.camvid
        if table.dataset == "cityscapes":
            from segray.data.synthetic import write_scenes

            root = f"{scratch}/scenes"
            write_scenes("cityscapes", Path(root), train=48, val=32, test=0, size_px=(72, 96), seed=0)
        elif root is None:
            sys.exit(f"{options.table} needs --camvid, the folder of CamVid")
        fill(table, output, base_config(table.dataset, root, f"{scratch}/cache"), options.processes)


def fill(table: Table, output: Path, base: RunConfig, processes: int) -> None:
    """Train the configs that a file lacks, and append their rows as they end."""
    done = done_before(output, table.keys)
    jobs = [
        (base, config, seed)
        for config in table.configs
        for seed in range(NUM_SEEDS)
        if (identity(config), seed) not in done
    ]
    # In random order, the trainings that a cut run has left out are a sample of the table.
    random.Random(0).shuffle(jobs)
    is_new = not output.exists()
    with output.open("a", newline="") as file, multiprocessing.get_context("spawn").Pool(processes) as pool:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow([*table.keys, *SCORE_COLUMNS])
        for count, (config, seed, epochs) in enumerate(pool.imap_unordered(trained, jobs), 1):
            for epoch, score, seconds in epochs:
                values = [config.get(key, "") for key in table.keys]
                writer.writerow([*values, seed, epoch, f"{score:.4f}", f"{seconds:.3f}"])
            file.flush()
            if count % 20 == 0 or count == len(jobs):
                print(f"{count} of {len(jobs)} trainings", flush=True)


if __name__ == "__main__":
    main()
