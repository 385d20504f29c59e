from pathlib import Path

import numpy as np
import pytest
import ray
from PIL import Image
from ray.cluster_utils import Cluster

from segray.cluster.node_cache import build_on_every_node
from segray.config import DataConfig, FolderConfig
from segray.data.preparation import prepare

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.fixture
def config(tmp_path):
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind, shape in (("images", (24, 32, 3)), ("labels", (24, 32))):
            folder = tmp_path / "root" / kind / split
            folder.mkdir(parents=True)
            Image.fromarray(rng.integers(0, 2, shape, dtype=np.uint8)).save(folder / f"{split}0.png")
    return DataConfig(
        dataset="folder",
        root=str(tmp_path / "root"),
        cache_dir=str(tmp_path / "cache"),
        folder=FolderConfig(classes=("road", "car")),
    )


@pytest.fixture
def two_nodes(monkeypatch):
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    yield
    ray.shutdown()
    cluster.shutdown()


def test_every_node_has_the_entry_and_failures_are_named(config, two_nodes):
    said = []
    built = build_on_every_node(config, said.append)
    assert len({node.node for node in built}) == 2
    assert [node.num_images for node in built] == [2, 2]
    assert not any(node.shortage or node.error for node in built)
    assert sorted(node.built for node in built) == [False, True]
    assert len(said) == 3
    assert sum("was there, 2 images" in line for line in said) == 1
    # Both nodes are this machine, so both name the same folder, which this process then finds.
    decoded = []
    assert str(prepare(config, decoded.append).train.folder) == built[0].folder == built[1].folder
    assert decoded == []

    without_room = config.model_copy(update={"cache_dir": f"{config.cache_dir}-2", "cache_limit_gb": 1e-9})
    for _ in range(2):
        said.clear()
        assert all(
            node.shortage.startswith("it needs 0.0 MB") for node in build_on_every_node(without_room, said.append)
        )
        assert sum("without room for pixels: it needs" in line for line in said) == 2

    (Path(config.root) / "labels/val/val0.png").write_bytes(b"")
    said.clear()
    failed = build_on_every_node(config, said.append)
    assert all("val0.png: the file is empty" in node.error for node in failed)
    assert sum(line.startswith(f"{node.node}: failed: ") for node in failed for line in said) == 2
