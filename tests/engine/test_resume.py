import pytest
import torch
from pyarrow import fs as pafs
from tiny_run import tiny_config, trained_and_resumed

from segray.folder import Folder, open_folder

RUNS = {
    "onecycle, EMA": {"train__ema_decay": 0.9},
    "cosine, warm-up, SGD": {"optim__schedule": "cosine", "optim__warmup_epochs": 1.5, "optim__name": "sgd"},
    "poly, Adam, clipped": {"optim__schedule": "poly", "optim__name": "adam", "optim__grad_clip": 0.1},
    "L2 on one layer": {"optim__name": "adam", "optim__l2": 0.05, "optim__l2_layers": "network.4."},
    "contiguous": {"train__channels_last": False},
}


@pytest.fixture(params=["local", "object store"])
def folder(request, tmp_path):
    if request.param == "local":
        return open_folder(tmp_path / "checkpoint")
    filesystem = pafs._MockFileSystem()
    filesystem.create_dir("bucket")
    return Folder(filesystem, "bucket/checkpoint")


def weights(state):
    return {**state.kept_model.state_dict(), **{f"raw.{k}": v for k, v in state.network.state_dict().items()}}


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS.keys())
def test_resumed_equals_uninterrupted_to_the_last_bit(options, folder):
    config = tiny_config(**options)
    (unbroken, records), (resumed, later) = trained_and_resumed(config, folder, after=2)
    assert later == records[2:]
    for name, value in weights(unbroken).items():
        assert torch.equal(value, weights(resumed)[name]), name
