import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from segray.config import DataConfig
from segray.data.datasets import open_dataset
from segray.data.datasets.cityscapes import CLASS_LISTS
from segray.data.datasets.gta5 import PALETTE, label_space, sequence_of
from segray.data.preparation import prepare
from segray.data.splits.division import divide
from segray.data.synthetic import write_scenes
from segray.data.tools.check import check
from segray.errors import DataError
from segray.labels import IGNORE_INDEX

SIZE = (32, 48)
TRAIN, VAL, TEST = [1, 2, 3, 4], [15001, 15002], [20001]


@pytest.fixture
def root(tmp_path):
    write_scenes("gta5", tmp_path / "root", train=4, val=2, test=1, size_px=SIZE)
    return tmp_path / "root"


def config(root, **values):
    return DataConfig(dataset="gta5", root=str(root), **values)


def write_split(path, train=TRAIN, val=VAL, test=TEST):
    path.parent.mkdir(exist_ok=True)
    columns = {"trainIds": train, "valIds": val, "testIds": test}
    savemat(path, {key: np.array(numbers, np.uint16)[:, None] for key, numbers in columns.items()})


def counts(root):
    return {split: len(pairs) for split, pairs in divide(open_dataset(config(root)), config(root)).items()}


def relabel(root, values):
    """Write the label values over the first file, in columns."""
    path = root / "labels/00001.png"
    with Image.open(path) as image:
        palette = image.getpalette()
    new = Image.fromarray(np.tile(np.array(values, np.uint8), (SIZE[0], SIZE[1] // len(values))))
    new.putpalette(palette)
    new.save(path)
    return path


def decode_first(root, **values):
    dataset = open_dataset(config(root, **values))
    return dataset.reader.read(dataset.pairs()[0])[1]


def test_labels_are_palette_files_in_official_colors(root):
    with Image.open(root / "labels/00001.png") as image:
        assert image.mode == "P"
        assert (np.asarray(image.convert("RGB")) == PALETTE[np.asarray(image)]).all()


def test_the_published_split_is_taken_where_it_lies_in_the_root(root):
    write_split(root / "split.mat")
    assert counts(root) == {"train": 4, "val": 2, "test": 1}
    assert [pair.name for pair in open_dataset(config(root)).official["test"]] == ["20001"]


def test_the_published_split_is_taken_from_its_unpacked_archive(root):
    write_split(root / "read_mapping/split.mat")
    assert counts(root) == {"train": 4, "val": 2, "test": 1}


def test_numbers_whose_archives_are_not_unpacked_are_no_error(root):
    write_split(root / "split.mat", train=[*TRAIN, 24000])
    assert counts(root) == {"train": 4, "val": 2, "test": 1}


def test_an_image_in_no_split_is_named(root):
    write_split(root / "split.mat", train=TRAIN[1:])
    with pytest.raises(DataError, match=r"does not name 1 of them(?s:.*)00001\.png"):
        open_dataset(config(root))


def test_a_split_file_of_something_else_is_an_error(root):
    savemat(root / "split.mat", {"trainIds": np.array([1])})
    with pytest.raises(DataError, match=r"split\.mat: cannot be read as the split of GTA5.*valIds"):
        open_dataset(config(root))


def test_a_damaged_split_file_is_an_error(root):
    (root / "split.mat").write_bytes(b"no mat file")
    with pytest.raises(DataError, match=r"split\.mat: cannot be read as the split of GTA5"):
        open_dataset(config(root))


def test_an_empty_split_file_is_an_error(root):
    (root / "split.mat").touch()
    with pytest.raises(DataError, match=r"split\.mat: cannot be read as the split of GTA5"):
        open_dataset(config(root))


def test_without_the_split_file_blocks_of_neighbours_stay_together(root):
    dataset = open_dataset(config(root))
    sides = [{pair.sequence for pair in part} for part in divide(dataset, config(root)).values()]
    assert not dataset.official
    assert len(set.union(*sides)) == sum(map(len, sides)) == 3


@pytest.mark.parametrize(
    ("stem", "block"), [("00001", "block 0"), ("00049", "block 0"), ("00050", "block 1"), ("frame", "")]
)
def test_neighbouring_numbers_are_one_block(stem, block):
    assert sequence_of(stem) == block


@pytest.mark.parametrize(
    ("classes", "expected"),
    [("train_ids", [0, IGNORE_INDEX, IGNORE_INDEX]), ("label_ids", [7, 4, IGNORE_INDEX]), ("categories", [1, 0, 7])],
)
def test_license_plates_are_void_or_vehicles(root, classes, expected):
    relabel(root, [7, 4, 34])
    assert decode_first(root, classes=classes)[0, :3].tolist() == expected


@pytest.mark.parametrize("classes", CLASS_LISTS)
def test_every_class_list_knows_all_35_ids(classes):
    assert label_space(classes).raw_to_train.keys() == set(range(35))


def test_training_ids_are_recognised(root):
    path = relabel(root, [0, 255])
    with pytest.raises(DataError, match=f"{path}: holds .*255; 255 is void in training ids"):
        decode_first(root)


def test_a_check_finds_training_ids_without_void(root):
    for path in (root / "labels").iterdir():
        Image.fromarray(np.full(SIZE, 13, np.uint8)).save(path)
    assert any("may hold training ids" in problem for problem in check(config(root)).problems)


def test_a_label_of_another_size_is_named_and_can_be_left_out(root, tmp_path):
    path = root / "labels/00002.png"
    Image.new("P", (40, 32)).save(path)
    values = {"cache_dir": str(tmp_path / "cache")}
    with pytest.raises(DataError, match=rf"{path}: a label must have its image's size"):
        prepare(config(root, **values), announce=lambda line: None)
    prepared = prepare(config(root, exclude=("00002",), **values), announce=lambda line: None)
    assert len(prepared.train) + len(prepared.val) == 6


def test_a_root_one_level_off_is_told_the_right_one(root):
    with pytest.raises(DataError, match=f"one level above does; set data.root to '{root}'"):
        open_dataset(config(root / "labels"))
