import os
from collections import Counter

import pytest

# Sweeps start their own cluster, even if one is already running.
os.environ["RAY_ADDRESS"] = "local"
# For tiny networks, threads cost more than they save, and much more if processes share the cores.
os.environ["OMP_NUM_THREADS"] = "1"


def pytest_collection_modifyitems(config, items):
    """In parallel test processes, which take file after file, run files with sweeps first, since they take longest."""
    if hasattr(config, "workerinput"):
        sweeps = Counter(item.path for item in items if item.get_closest_marker("ray"))
        items.sort(key=lambda item: -sweeps[item.path])


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty hub cache, and no record of earlier hub failures."""
    from huggingface_hub import constants

    from segray.models.encoder_weights import hub_failure

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    hub_failure.cache_clear()
    yield tmp_path / "hub"
    hub_failure.cache_clear()


@pytest.fixture
def silent_hub(cache, monkeypatch):
    from huggingface_hub import constants

    # Nothing listens on the discard port of this machine.
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")


@pytest.fixture
def seeded():
    """Give a test the same random weights and photos in every run, whichever test ran before."""
    import torch

    torch.manual_seed(0)


@pytest.fixture(scope="session")
def full(tmp_path_factory):
    """The results of a sweep with every outcome."""
    import fake_sweep

    from segray.results import load

    return load(fake_sweep.full_sweep(tmp_path_factory.mktemp("runs"), samples=False).files.folder.path)


@pytest.fixture
def sweep(tmp_path):
    """A sweep without trials."""
    import fake_sweep

    return fake_sweep.empty_sweep(tmp_path)
