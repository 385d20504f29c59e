import pytest
import torch
from tiny_run import register

from segray.models import MODELS


@pytest.fixture(autouse=True, scope="module")
def _tiny_model():
    register()
    yield
    del MODELS["tiny"]


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
