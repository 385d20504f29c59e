import fake_sweep
import pytest

from segray.results import load


@pytest.fixture(scope="session")
def full(tmp_path_factory):
    return load(fake_sweep.full_sweep(tmp_path_factory.mktemp("runs")).files.folder.path)


@pytest.fixture
def sweep(tmp_path):
    return fake_sweep.empty_sweep(tmp_path)
