import pytest
from official_scores import load_evaluator


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """The official evaluator of Cityscapes."""
    with pytest.MonkeyPatch.context() as patch:
        yield load_evaluator(tmp_path_factory.mktemp("cityscapes"), patch)
