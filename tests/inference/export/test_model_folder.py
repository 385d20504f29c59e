"""Model folders: they load without sweep and data set, and nothing damaged, foreign or pickled is loaded."""

import io
import json
import shutil

import numpy as np
import pytest
import safetensors.torch
import segmentation_models_pytorch as smp
import torch
from every_model import SMP_CONFIGS, name_of
from model_run import LABEL_SPACE, write_run

import segray
from segray.config import ModelConfig
from segray.engine.checkpoint import load_checkpoint
from segray.errors import DataError, StorageError
from segray.inference.export.lineage import data_fingerprint
from segray.inference.export.model_folder import write_model_folder
from segray.inference.location import find_model
from segray.storage import open_sweep

TINY = ModelConfig(arch="Unet", encoder="tu-test_resnet", encoder_weights="none")


def export(location, target):
    found = find_model(location)
    model, config, label_space = load_checkpoint(found.folder)
    return write_model_folder(target, model, config, label_space, found)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a model folder and a photo's labels before the export; the sweep is gone."""
    root = tmp_path_factory.mktemp("made")
    files = write_run(root, TINY, **{"data.resize_px": [40, 60]})
    photo = next((root / "street" / "samples").glob("*_photo.png"))
    labels = segray.load_model(files.folder.path).predict(photo).labels
    export(files.folder.path, root / "model")
    shutil.copy(photo, root / "photo.png")
    shutil.rmtree(root / "street")
    return root / "model", root / "photo.png", labels


@pytest.fixture
def folder(made, tmp_path):
    """Copy the model folder, so that a test may damage it."""
    return shutil.copytree(made[0], tmp_path / "model")


def test_the_folder_predicts_as_the_run_did_and_says_where_it_comes_from(made):
    folder, photo, labels = made
    model = segray.load_model(folder)
    assert model.title.replace("\u00a0", " ") == "street trial 0000, val mIoU 50.0 %"
    assert np.array_equal(model.predict(photo).labels, labels)
    record = model.location.record
    assert (record.epoch, record.objective, record.val_scores["val_miou"]) == (1, "val_miou", 0.5)
    lineage = record.lineage
    assert (lineage.sweep, lineage.trial, lineage.recipe, lineage.dataset) == (
        "street",
        "0000",
        "camvid_unet",
        "camvid",
    )
    assert lineage.seeds == {"sweep": 7, "trial": 4}
    assert lineage.values == {"optim.lr": 0.002}
    assert lineage.num_images == {"train": 12, "val": 4, "test": 0}
    assert len(lineage.data_fingerprint) == 64


def test_a_fingerprint_tells_other_images_and_splits_apart(tmp_path):
    splits = open_sweep(write_run(tmp_path, TINY).folder.path).splits()
    other_size = splits.model_copy(update={"val": splits.val | {"val0": 7}})
    other_side = splits.model_copy(update={"val": splits.train, "train": splits.val})
    assert len({data_fingerprint(found) for found in (splits, other_size, other_side)}) == 3
    turned = splits.model_copy(update={"train": dict(reversed(splits.train.items()))})
    assert data_fingerprint(turned) == data_fingerprint(splits)


def test_the_card_names_every_class_and_the_steps(made):
    card = (made[0] / "README.md").read_text()
    assert all(f"| {index} | {name} |" in card for index, name in enumerate(LABEL_SPACE.names))
    for part in ("40x60 px", "val mIoU", "trial 0000 of the sweep street", "smp.from_pretrained", "segray.load_model"):
        assert part in card


def test_an_edited_card_and_added_notes_do_not_matter(folder):
    (folder / "README.md").write_text("mine")
    (folder / "notes.txt").write_text("mine")
    assert segray.load_model(folder).names == LABEL_SPACE.names


def test_an_exported_model_exports_again_with_its_lineage(folder, tmp_path):
    first = find_model(folder).record
    again = export(folder, tmp_path / "again")
    assert (again.lineage, again.title, again.val_scores) == (first.lineage, first.title, first.val_scores)
    assert again.files == first.files


@pytest.mark.parametrize(
    "config", [config for config in SMP_CONFIGS if config.arch in ("Unet", "DeepLabV3Plus", "PAN", "DPT")], ids=name_of
)
def test_smp_loads_its_own_form(config, tmp_path):
    files = write_run(tmp_path, config)
    export(files.folder.path, tmp_path / "model")
    model, _, _ = load_checkpoint(files.best()[0].folder.child("checkpoints/1-1"))
    network = smp.from_pretrained(str(tmp_path / "model" / "smp")).eval()
    side = max(model.stride, model.min_side_px)
    photo_BCHW = torch.randint(0, 256, (1, 3, 2 * side, 3 * side))
    normalised_BCHW = torch.addcmul(model.offset, photo_BCHW.float(), model.scale)
    with torch.no_grad():
        torch.testing.assert_close(network(normalised_BCHW), model(photo_BCHW))


def test_a_model_of_another_family_has_no_smp_form(tmp_path):
    files = write_run(
        tmp_path, ModelConfig(name="unet", unet={"widths": (4, 8), "convolutions": (1, 1), "decoder_widths": (4,)})
    )
    export(files.folder.path, tmp_path / "model")
    assert not (tmp_path / "model" / "smp").exists()
    assert "smp" not in (tmp_path / "model" / "README.md").read_text()


def pickle():
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(1)}, buffer)
    return buffer.getvalue()


def remove(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def change(path):
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


def other_weights(path):
    weights = {name: tensor + 1 for name, tensor in safetensors.torch.load(path.read_bytes()).items()}
    path.write_bytes(safetensors.torch.save(weights))


def as_pickle(path):
    path.write_bytes(pickle())


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "label_space.json", "preprocessing.json"])
@pytest.mark.parametrize(
    ("damage", "words"),
    [(remove, "is missing"), (cut, "was cut off: it has"), (change, "was changed or is from another model")],
)
def test_a_damaged_file_is_named(folder, name, damage, words):
    damage(folder / name)
    with pytest.raises(StorageError, match=rf"model/{name} {words}"):
        segray.load_model(folder)


def test_weights_of_another_model_are_refused(folder):
    other_weights(folder / "model.safetensors")
    with pytest.raises(StorageError, match=r"model\.safetensors was changed or is from another model"):
        segray.load_model(folder)


def test_a_pickle_in_place_of_safetensors_is_refused(folder):
    as_pickle(folder / "model.safetensors")
    with pytest.raises(StorageError, match=r"model\.safetensors is a pickle, which could run any code"):
        segray.load_model(folder)


@pytest.mark.parametrize("has_record", [True, False])
def test_a_pickle_beside_missing_safetensors_is_refused(folder, has_record):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle())
    if not has_record:
        (folder / "model.json").unlink()
    with pytest.raises(StorageError, match=r"model\.safetensors"):
        segray.load_model(folder)


def test_a_pickle_in_a_checkpoint_is_refused(folder):
    (folder / "model.json").unlink()
    as_pickle(folder / "model.safetensors")
    with pytest.raises(StorageError, match="is a pickle"):
        segray.load_model(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda record: record | {"format_version": 2}, "format_version"),
        (lambda record: record | {"files": {}}, r"does not list model\.safetensors"),
        (lambda record: record | {"epoch": "first"}, "epoch"),
    ],
)
def test_a_record_that_is_wrong(folder, change, words):
    path = folder / "model.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(StorageError, match=rf"model\.json.*{words}"):
        segray.load_model(folder)


def test_a_full_folder_is_left_alone_and_an_empty_one_is_filled(made, tmp_path):
    full, empty = tmp_path / "full", tmp_path / "empty"
    for folder in (full, empty):
        folder.mkdir()
    (full / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="needs a new folder"):
        export(made[0], full)
    assert [path.name for path in full.iterdir()] == ["mine.txt"]
    export(made[0], empty)
    assert segray.load_model(empty).names == LABEL_SPACE.names


def test_a_failed_export_leaves_nothing(made, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("segray.inference.export.model_folder.model_card", fail)
    with pytest.raises(StorageError, match="No space left"):
        export(made[0], tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_the_card_of_a_model_that_trained_on_all_data_calls_no_score_validation(tmp_path):
    files = write_run(tmp_path, TINY, **{"data.all_data": True, "data.resize_px": [40, 60]})
    export(files.folder.path, tmp_path / "model")
    card = (tmp_path / "model/README.md").read_text()
    assert "| score | training images | test |" in card
    assert "The validation images trained the model too" in card
    assert "chose the trial" not in card
