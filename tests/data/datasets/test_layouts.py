import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import Cityscapes as Reference

from segray.config import DataConfig, FolderConfig
from segray.data.datasets import open_dataset
from segray.data.datasets.cityscapes import LABELS, label_space
from segray.data.preparation import prepare
from segray.data.splits.division import divide
from segray.errors import ConfigError, DataError


def flat_folder(root, count, **changes):
    for index in range(count):
        for kind in ("images", "labels"):
            (root / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.eye(4, dtype=np.uint8)).save(root / kind / f"{index:03d}.png")
    layout = {"images": "images", "labels": "labels", "classes": ("road", "car"), **changes}
    return DataConfig(dataset="folder", root=str(root), folder=FolderConfig(**layout))


def names(config, split):
    return [pair.name for pair in divide(open_dataset(config), config)[split]]


def test_cityscapes_table_equals_torchvisions():
    reference = {
        (c.id, c.name, c.train_id if c.train_id >= 0 else 255, c.color) for c in Reference.classes if c.id >= 0
    }
    assert set(LABELS) == reference


def test_cityscapes_has_its_19_classes_in_official_order():
    assert label_space().num_classes == 19
    assert label_space().names[:3] == ("road", "sidewalk", "building")
    assert label_space().raw_to_train[33] == 18


def test_folders_outside_the_root_are_decoded(tmp_path):
    config = flat_folder(tmp_path / "elsewhere", 4)
    (tmp_path / "root").mkdir()
    layout = config.folder.model_copy(
        update={kind: str(tmp_path / "elsewhere" / kind) for kind in ("images", "labels")}
    )
    changes = {"root": str(tmp_path / "root"), "folder": layout, "cache_dir": str(tmp_path / "cache")}
    assert len(prepare(config.model_copy(update=changes), announce=lambda line: None).train) == 3


@pytest.mark.parametrize(("level", "words"), [("root/images", "one level above"), (".", "one level below")])
def test_a_folder_one_level_off_is_told_the_right_one(tmp_path, level, words):
    config = flat_folder(tmp_path / "root", 2)
    with pytest.raises(DataError, match=f"{words} does; set data.root to '{tmp_path / 'root'}'"):
        open_dataset(config.model_copy(update={"root": str(tmp_path / level)}))


def test_a_void_id_that_the_config_lacks_is_hinted_at(tmp_path):
    config = flat_folder(tmp_path, 2, void_ids=())
    label = tmp_path / "labels/000.png"
    Image.new("L", (4, 4), 255).save(label)
    dataset = open_dataset(config)
    with pytest.raises(DataError, match=r"255; if 255 is void, data\.folder\.void_ids must list it"):
        dataset.reader.read(dataset.pairs()[0])


def test_a_root_that_cannot_be_looked_at_is_refused():
    with pytest.raises(DataError, match=r"File name too long|does not exist"):
        open_dataset(DataConfig(dataset="folder", root="x" * 300, folder=FolderConfig(classes=("road",))))


def test_a_stem_that_occurs_twice_is_refused(tmp_path):
    config = flat_folder(tmp_path, 3)
    Image.new("RGB", (4, 4)).save(tmp_path / "images" / "001.jpg")
    with pytest.raises(DataError, match=r"001\.jpg and 001\.png"):
        names(config, "train")


def test_missing_partners_are_counted_past_ten(tmp_path):
    config = flat_folder(tmp_path, 14)
    for index in range(12):
        (tmp_path / "labels" / f"{index:03d}.png").unlink()
    with pytest.raises(DataError, match=r"12 images without a label(?s:.*)\.\.\. and 2 more"):
        names(config, "train")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ()}, r"data\.folder\.classes must list"),
        ({"classes": ("a", "a")}, "must be unique"),
        ({"images": "{split}"}, r"both hold \{split\} or neither"),
    ],
)
def test_a_folder_config_that_cannot_work_is_refused(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        open_dataset(flat_folder(tmp_path, 2, **changes))


def test_an_unknown_data_set_names_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown data set 'cityscape'; did you mean 'cityscapes'"):
        open_dataset(DataConfig(dataset="cityscape", root="x"))
