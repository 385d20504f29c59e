"""Small models for tests of prediction: a network without weights, and a sweep of two trials with a checkpoint each."""

import numpy as np
import torch
from fake_sweep import empty_sweep, record
from PIL import Image

from segray.config import RunConfig
from segray.engine import checkpoint
from segray.engine.state import build_state
from segray.inference.predictor import Predictor
from segray.labels import LabelSpace
from segray.models import SegmentationModel
from segray.records import CheckpointPointer

SPACE = LabelSpace(names=("sky", "road"), colors=((0, 0, 255), (128, 64, 128)), raw_to_train={23: 0, 7: 1, 0: 255})


class BrightIsSky(torch.nn.Module):
    def forward(self, photos_BCHW):
        brightness = photos_BCHW.mean(1, keepdim=True)
        return torch.cat([brightness, -brightness], 1)


def bright_is_sky(space=SPACE, values=None, **options):
    """Return a predictor that takes bright pixels for sky."""
    config = RunConfig().with_values(values or {})
    return Predictor([SegmentationModel(BrightIsSky(), stride=1)], config, space, **options)


def sweep_with_models(folder, space=SPACE, **values):
    """Write a sweep of two trials with a model each; the second has the higher mIoU."""
    sweep = empty_sweep(folder)
    config = RunConfig().with_values({"model.encoder": "tu-test_resnet", "model.encoder_weights": "none", **values})
    state = build_state(config, space, steps_per_epoch=1, device=torch.device("cpu"))
    for trial_id, miou in (("0000", 0.3), ("0001", 0.4)):
        trial = sweep.files.trial(trial_id)
        checkpoint.save(state, trial.folder.child("checkpoints/1-1"))
        pointer = CheckpointPointer(checkpoint="checkpoints/1-1", record=record(1, miou), seconds=1.0)
        trial.write_pointer("best", pointer)
    return sweep.files


def half_bright(height=30, width=41):
    """Return a photo whose upper half is white and whose lower half is black."""
    photo = np.zeros((height, width, 3), np.uint8)
    photo[: height // 2] = 255
    return photo


def write_photos(folder, *names, height=30, width=41):
    """Write photos below a folder and return their paths."""
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(half_bright(height, width)).save(path)
    return paths
