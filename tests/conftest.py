import pytest


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
def one_thread():
    """Tiny networks: what threads cost is more than they save, and much more on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)
