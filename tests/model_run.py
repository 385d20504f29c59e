"""A sweep with one trial whose model is small, untrained, and has settled batch normalisation."""

import fake_sweep
import numpy as np
import safetensors.torch
import torch
from torch import nn

from segray.config import RunConfig
from segray.labels import LabelSpace
from segray.models import build_model
from segray.records import CheckpointPointer

LABEL_SPACE = LabelSpace(
    names=tuple(fake_sweep.CLASSES), colors=tuple(color for color, _ in fake_sweep.CLASSES.values())
)


def settled(model, photos_BCHW):
    """Set batch normalisation to the statistics of these photos; else the inner layers hardly change the logits."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.cat([photos_BCHW, 255 - photos_BCHW]))
    return model.eval()


def write_run(root, model_config, **values):
    """Write a sweep with photos among its samples, and return its files."""
    sweep = fake_sweep.empty_sweep(root, "street", recipe="camvid_unet")
    sweep.files.write_splits(fake_sweep.splits())
    trial = fake_sweep.write_trial(sweep, "0000", {"optim.lr": 0.002}, [0.5])
    pointer = CheckpointPointer(checkpoint="checkpoints/1-1", record=trial.records()[-1], seconds=9.0)
    trial.write_pointer("best", pointer)
    fake_sweep.write_samples(sweep, trials=[])
    config = RunConfig(model=model_config).with_values({"data.dataset": "camvid", "seed": 4, **values})
    torch.manual_seed(0)
    model = build_model(config.model, LABEL_SPACE.num_classes, palette=LABEL_SPACE.colors)
    photo = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, 64, 96))).float()
    write_checkpoint(trial.folder.child("checkpoints/1-1"), settled(model, photo), config)
    return sweep.files


def write_checkpoint(folder, model, config):
    folder.write_bytes("model.safetensors", safetensors.torch.save(model.state_dict()))
    folder.write_json("config.json", config.model_dump(mode="json"))
    folder.write_json("label_space.json", LABEL_SPACE.model_dump(mode="json"))
    folder.write_json("preprocessing.json", model.normalisation.model_dump(mode="json"))
