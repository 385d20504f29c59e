"""Score trained weights with batch-norm statistics from the training images, beside those kept in training.

    python benchmarks/batch_statistics.py runs/camvid_recipe 0000-seed1-epochs3 0000-seed2-epochs3

Batch normalisation validates with a running average of its batches' statistics. A network that averages over many more
steps than it has trained is judged by the statistics of weights that it no longer has; this tells how much of a low
score that is. Takes a pass over training and validation images a trial.
"""

from __future__ import annotations

import argparse

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from segray.data.batches.loaders import val_loader
from segray.data.preparation import PreparedData, prepare
from segray.engine.checkpoint import load_checkpoint
from segray.engine.precision import autocast, resolve_precision
from segray.engine.validation import Validation
from segray.storage import open_sweep

CPU = torch.device("cpu")


def take_statistics(model: nn.Module, data: PreparedData, batch_size: int, precision: torch.dtype) -> None:
    """Replace the running averages by the mean over the training images' batches; all else stays in eval mode."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            module.momentum = None
            module.train()
    with torch.no_grad(), autocast(CPU, precision):
        for batch in val_loader(data.train, batch_size=batch_size):
            model(batch.photos_BCHW)
    model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sweep")
    parser.add_argument("trials", nargs="+")
    arguments = parser.parse_args()
    files = open_sweep(arguments.sweep)
    for trial_id in arguments.trials:
        trial = files.trial(trial_id)
        pointer = trial.pointer("best")
        assert pointer is not None, f"{trial_id} has no checkpoint"
        model, config, _ = load_checkpoint(trial.folder.child(pointer.checkpoint))
        model = model.to(memory_format=torch.channels_last)
        data = prepare(config.data, print)
        batch_size = config.train.batch_size
        take_statistics(model, data, batch_size, resolve_precision(config.train.precision, CPU))
        found = Validation(config, data, val_loader(data.val, batch_size=batch_size), CPU)(model)
        print(
            f"{trial_id}, epoch {pointer.record.epoch}: val mIoU {pointer.record.scores['val_miou']:.3f} in training, "
            f"{found['val_miou']:.3f} with statistics taken anew",
            flush=True,
        )


if __name__ == "__main__":
    main()
