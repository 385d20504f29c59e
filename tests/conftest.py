import os
from collections import Counter

import pytest

# Sweeps start a cluster of their own, even where one runs already.
os.environ["RAY_ADDRESS"] = "local"
# Tiny networks: what threads cost is more than they save, and much more where processes share the cores.
os.environ["OMP_NUM_THREADS"] = "1"


def pytest_collection_modifyitems(config, items):
    """In one of several processes, which take file after file: those with sweeps first, since they take longest."""
    if hasattr(config, "workerinput"):
        sweeps = Counter(item.path for item in items if item.get_closest_marker("ray"))
        items.sort(key=lambda item: -sweeps[item.path])


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty hub cache, and a hub that nobody has asked yet."""
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
    """The same random weights and photos in every run of a test, whichever ran before it."""
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
