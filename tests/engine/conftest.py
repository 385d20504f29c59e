import pytest
from tiny_run import register

from segray.config import RunConfig
from segray.data.synthetic import write_scenes
from segray.models import MODELS


@pytest.fixture(autouse=True, scope="module")
def _tiny_model():
    register()
    yield
    del MODELS["tiny"]


@pytest.fixture(scope="session")
def scenes_config(tmp_path_factory):
    """A run of a small network on a few drawn scenes."""
    root = tmp_path_factory.mktemp("data")
    write_scenes("cityscapes", root / "scenes", train=8, val=5, size_px=(64, 64), seed=0)
    return RunConfig().with_values(
        {
            "data.root": str(root / "scenes"),
            "data.cache_dir": str(root / "cache"),
            "model.encoder": "tu-test_resnet",
            "model.encoder_weights": "none",
            "train.batch_size": 4,
        }
    )
