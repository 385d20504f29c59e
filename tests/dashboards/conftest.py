import fake_sweep
import pytest

from segray.results import load


@pytest.fixture(scope="session")
def full(tmp_path_factory):
    """The results of a sweep with every outcome, and with repeats of the best and the first trial."""
    sweep = fake_sweep.full_sweep(tmp_path_factory.mktemp("runs"), tested=True, recipe="cityscapes_smp")
    best = load(sweep.files.folder.path).best_trial()
    epochs = int(best["train.epochs"])
    fake_sweep.write_repeats(sweep, best["id"], [0.443, 0.451, 0.447], epochs=epochs)
    fake_sweep.write_repeats(sweep, "0000", [0.402, 0.389, 0.410], epochs=epochs)
    return load(sweep.files.folder.path)
