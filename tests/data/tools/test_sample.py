import stat

import numpy as np
import pytest
from PIL import Image

from segray.config import DataConfig
from segray.data.datasets import open_dataset
from segray.data.datasets.cityscapes import PALETTE
from segray.data.synthetic import write_scenes
from segray.data.tools.sample import sample
from segray.errors import ConfigError, DataError

SIZE = (32, 48)
FOLDERS = {f"{part}{kind}" for part in ("trainA", "testA") for kind in ("", "_seg", "_seg_class")}


@pytest.fixture
def source(tmp_path):
    write_scenes("cityscapes", tmp_path / "source", train=8, val=4, test=2, size_px=SIZE)
    return DataConfig(root=str(tmp_path / "source"))


@pytest.fixture
def gta5(tmp_path):
    write_scenes("gta5", tmp_path / "gta5", train=6, val=3, test=2, size_px=SIZE)
    return DataConfig(dataset="gta5", root=str(tmp_path / "gta5"))


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def drawn(folder):
    return {part: sorted(path.stem for path in (folder / part).iterdir()) for part in ("trainA", "testA")}


def test_a_sample_has_the_folders_and_opens_as_train_a(source, tmp_path):
    dest = tmp_path / "new/sample"
    assert sample(source, dest, train=7, test=3) == []
    assert {path.name for path in dest.iterdir()} == FOLDERS
    official = open_dataset(DataConfig(dataset="trainA", root=str(dest))).official
    assert {split: len(pairs) for split, pairs in official.items()} == {"train": 7, "test": 3}


def test_photos_ids_and_colors_are_those_of_the_data_set(source, tmp_path):
    sample(source, tmp_path / "sample", train=7, test=3)
    pairs = {pair.name: pair for pair in open_dataset(source).pairs()}
    for name in drawn(tmp_path / "sample")["testA"]:
        photo, colors, ids = (
            read(tmp_path / "sample" / f"testA{kind}" / f"{name}.png") for kind in ("", "_seg", "_seg_class")
        )
        assert (photo == read(pairs[name].photo)).all()
        assert (ids == read(pairs[name].label)).all()
        assert (colors == PALETTE[ids]).all()


def test_no_image_is_drawn_twice(source, tmp_path):
    sample(source, tmp_path / "sample", train=8, test=4)
    parts = drawn(tmp_path / "sample")
    assert len(set(parts["trainA"]) | set(parts["testA"])) == 12


def test_the_seed_decides_what_is_drawn(source, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        sample(source, tmp_path / name, train=4, test=2, seed=seed)
    assert drawn(tmp_path / "a") == drawn(tmp_path / "b") != drawn(tmp_path / "c")


def test_images_are_resized(source, tmp_path):
    sample(source, tmp_path / "sample", train=2, test=1, size_px=(16, 24))
    shapes = {read(path).shape[:2] for path in (tmp_path / "sample").rglob("*.png")}
    assert shapes == {(16, 24)}


def test_a_sequence_stays_on_one_side_where_images_suffice(gta5, tmp_path):
    for seed in range(6):
        assert sample(gta5, tmp_path / str(seed), train=2, test=1, seed=seed) == []


def test_a_sequence_that_had_to_be_divided_is_returned(gta5, tmp_path):
    assert len(sample(gta5, tmp_path / "sample", train=10, test=1)) == 1


def test_license_plates_keep_their_id_and_color(gta5, tmp_path):
    path = open_dataset(gta5).pairs()[0].label
    with Image.open(path) as image:
        palette = image.getpalette()
    label = Image.fromarray(np.full(SIZE, 34, np.uint8))
    label.putpalette(palette)
    label.save(path)
    sample(gta5, tmp_path / "sample", train=11, test=0)
    name = f"{path.stem}.png"
    assert (read(tmp_path / "sample/trainA_seg_class" / name) == 34).all()
    assert (read(tmp_path / "sample/trainA_seg" / name) == (0, 0, 142)).all()


def test_excluded_images_are_not_drawn(source, tmp_path):
    names = [pair.name for pair in open_dataset(source).pairs()]
    sample(source.model_copy(update={"exclude": (names[0],)}), tmp_path / "sample", train=8, test=3)
    parts = drawn(tmp_path / "sample")
    assert sorted(parts["trainA"] + parts["testA"]) == sorted(names[1:])


def test_an_existing_folder_is_refused(source, tmp_path):
    with pytest.raises(DataError, match="exists; remove it or name another"):
        sample(source, tmp_path, train=1, test=1)


def test_too_few_images_are_an_error(source, tmp_path):
    with pytest.raises(DataError, match=r"a sample of 10 \+ 3 images needs 13, but there are 12"):
        sample(source, tmp_path / "sample", train=10, test=3)


@pytest.mark.parametrize(("dataset", "numbers"), [("camvid", {}), ("cityscapes", {"train": 0}), ("gta5", {"test": -1})])
def test_what_cannot_be_drawn_is_refused(source, tmp_path, dataset, numbers):
    with pytest.raises(ConfigError, match=r"a sample (must be drawn from cityscapes or gta5|needs train >= 1)"):
        sample(source.model_copy(update={"dataset": dataset}), tmp_path / "sample", **numbers)


def test_all_images_that_fail_are_named_and_nothing_is_left(source, tmp_path):
    pairs = open_dataset(source).pairs()
    pairs[0].photo.write_bytes(b"")
    Image.new("L", (20, 20)).save(pairs[1].label)
    with pytest.raises(DataError, match=r"data\.exclude leaves images out") as error:
        sample(source, tmp_path / "sample", train=8, test=4)
    damaged = sorted([str(pairs[0].photo), str(pairs[1].label)])
    assert [problem.partition(":")[0] for problem in error.value.problems] == damaged
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_every_image_written_is_told(source, tmp_path):
    told = []
    sample(source, tmp_path / "sample", train=3, test=1, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_folder_can_be_read_like_any_other(source, tmp_path):
    sample(source, tmp_path / "sample", train=1, test=1)
    (tmp_path / "plain").mkdir()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("sample", "plain")]
    assert modes[0] == modes[1]
