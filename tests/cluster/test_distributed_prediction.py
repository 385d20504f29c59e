import pytest
from tiny_models import SPACE, sweep_with_models, write_photos
from typer.testing import CliRunner

from segray.cli import app
from segray.cluster.distributed_prediction import _plan
from segray.errors import ResourceError
from segray.inference.choice import ModelChoice


# Ray warns of its own settings.
@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.ray
def test_photos_are_predicted_on_the_cluster_and_a_second_start_does_the_rest(tmp_path, monkeypatch):
    run = sweep_with_models(tmp_path / "runs", SPACE).folder.path
    write_photos(tmp_path / "photos", *(f"{number}.png" for number in range(20)), "sub/3.png")
    (tmp_path / "photos/bad.png").write_bytes(b"damaged")
    monkeypatch.chdir(tmp_path)

    def predict(*options):
        arguments = ["predict", "runs/" + run.rpartition("/")[2], "photos", "-o", "out", "--distributed", *options]
        return CliRunner().invoke(app, arguments)

    first = predict("--keep-going", "--save", "overlay,train_ids")
    assert first.exit_code == 1, first.output
    assert "out: 21 photos as overlay, train_ids, 1 not predicted; trial 0001" in first.stdout
    assert "bad.png" in first.stderr
    assert len(list((tmp_path / "out/train_ids").rglob("*.png"))) == 21
    (tmp_path / "photos/bad.png").unlink()
    (tmp_path / "out/overlay/sub/3.png").unlink()
    second = predict("--resume", "--save", "overlay,train_ids")
    assert second.exit_code == 0, second.output
    assert "out: 1 photo as overlay, train_ids, 20 were there" in second.stdout
    assert (tmp_path / "out/overlay/sub/3.png").is_file()


@pytest.mark.parametrize(
    ("nodes", "device", "num_files", "actors", "gpus"),
    [
        ([{"CPU": 2.0}], None, 100, 1, 0),
        ([{"CPU": 8.0}, {"CPU": 9.0}], None, 1000, 8, 0),
        ([{"CPU": 8.0}], None, 3, 1, 0),
        ([{"CPU": 1.0}], None, 100, 1, 0),
        ([{"CPU": 8.0, "GPU": 2.0}, {"CPU": 8.0}], None, 1000, 2, 1),
        ([{"CPU": 8.0, "GPU": 2.0}], "cpu", 1000, 4, 0),
    ],
)
def test_the_number_of_actors_follows_from_the_cluster_and_the_work(nodes, device, num_files, actors, gpus):
    plan = _plan(nodes, ModelChoice(location="runs/x", device=device), num_files)
    assert (plan["actors"], plan["gpus"]) == (actors, gpus)


def test_a_gpu_that_no_node_has():
    with pytest.raises(ResourceError, match="needs a cluster with GPUs"):
        _plan([{"CPU": 2.0}], ModelChoice(location="runs/x", device="cuda"), 10)
