"""What splits.json holds, and that a machine with other images is told so."""

import json
from pathlib import Path

import pytest
from PIL import Image

from segray.config import DataConfig, PairsConfig, SplitConfig
from segray.data.cache import fingerprint
from segray.data.splits.split_record import check_splits, record_splits
from segray.data.synthetic import write_scenes
from segray.errors import DataError

SIZE = (24, 32)


def again(config, record):
    """The check as another process would make it."""
    fingerprint._listing.cache_clear()
    check_splits(record, config)


def images_of(config):
    return Path(config.root) / "images"


def remove(config, split, name):
    (images_of(config) / split / f"{name}.jpg").unlink()
    (Path(config.root) / "labels" / split / f"{name}.png").unlink()


def copy(config, name, new_name):
    for folder, suffix in (("images", "jpg"), ("labels", "png")):
        source = Path(config.root) / folder / "train" / f"{name}.{suffix}"
        source.with_stem(new_name).write_bytes(source.read_bytes())


def test_an_official_split_is_recorded_by_name_and_bytes_without_what_chance_would_need(write_images):
    config = write_images((SIZE,) * 3)
    record = record_splits(config)
    files = [images_of(config) / "val" / "val0.jpg", Path(config.root) / "labels" / "val" / "val0.png"]
    assert list(record.train) == ["train/train0", "train/train1", "train/train2"]
    assert record.val == {"val/val0": sum(path.stat().st_size for path in files)}
    assert record.test == {}
    assert (record.dataset, record.kind, record.sizes, record.fold, record.seed) == (
        "folder",
        "official",
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"split": SplitConfig(kind="ratio", sizes=(2, 1, 1), seed=4)},
            {"kind": "ratio", "sizes": (2, 1, 1), "seed": 4},
        ),
        ({"split": SplitConfig(kind="kfold", folds=2, fold=1)}, {"kind": "kfold", "folds": 2, "fold": 1, "seed": 0}),
        ({"holdout": 0.5}, {"kind": "official", "holdout": 0.5, "seed": 0}),
    ],
)
def test_how_the_images_were_divided_is_recorded(write_images, changes, expected):
    record = record_splits(write_images((SIZE,) * 3, **changes))
    assert {name: getattr(record, name) for name in expected} == expected
    assert bool(record.test) == (record.kind != "kfold")


def test_the_same_images_with_other_times_and_in_another_place_pass(write_images, tmp_path):
    config = write_images((SIZE,) * 3)
    record = record_splits(config)
    moved = tmp_path / "elsewhere"
    for path in Path(config.root).rglob("*.*"):
        target = moved / path.relative_to(config.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    again(config.model_copy(update={"root": str(moved)}), record)


def test_every_kind_of_difference_is_counted_and_named(write_images):
    config = write_images((SIZE,) * 7, ((24, 32),) * 2)
    record = record_splits(config)
    for number in (1, 2, 3, 4):
        remove(config, "train", f"train{number}")
    copy(config, "train0", "train9")
    Image.new("RGB", (32, 24)).save(images_of(config) / "train" / "train5.jpg")
    with pytest.raises(DataError) as error:
        again(config, record)
    message = str(error.value)
    assert "4 images are gone: train/train1 (train), train/train2 (train), train/train3 (train) and 1 more" in message
    assert "1 image is new: train/train9 (train)" in message
    assert "1 image is in files of another size: train/train5 (" in message
    assert len(error.value.problems) == 6
    assert "train/train4 (train): gone" in error.value.problems


def test_another_seed_puts_images_on_another_side(write_images):
    config = write_images((SIZE,) * 8, split=SplitConfig(kind="ratio", sizes=(0.5, 0.25, 0.25)))
    record = record_splits(config)
    with pytest.raises(DataError, match="images are on another side"):
        check_splits(record, config.model_copy(update={"split": config.split.model_copy(update={"seed": 1})}))


def fitted(root, cache_dir, num_clusters):
    pairs = PairsConfig(labels="kmeans", num_clusters=num_clusters)
    return DataConfig(dataset="cityscapes_pairs", root=str(root), cache_dir=str(cache_dir), pairs=pairs)


@pytest.mark.parametrize("num_clusters", [4, 6])
def test_another_k_means_fit_on_a_machine_is_refused_for_each_k(tmp_path, num_clusters):
    write_scenes("cityscapes_pairs", tmp_path / "root", train=2, val=1, size_px=(32, 48))
    (tmp_path / "root" / ".segray").touch()  # so that each machine's fit lies in its cache
    here = [fitted(tmp_path / "root", tmp_path / "here", count) for count in (4, 6)]
    record = record_splits(here[0], here)
    there = fitted(tmp_path / "root", tmp_path / "there", num_clusters)
    again(there, record)
    (path,) = (tmp_path / "there").glob("kmeans-*.json")
    content = json.loads(path.read_text())
    red, green, blue = content["centers"][0]
    path.write_text(json.dumps(content | {"centers": [[red, green, blue ^ 1], *content["centers"][1:]]}))
    with pytest.raises(
        DataError,
        match=r"labels .* decode differently on .* than on the machine .*.* kmeans-\*\.json",
    ):
        again(there, record)


def test_labels_that_no_checked_trial_had_pass(tmp_path):
    write_scenes("cityscapes_pairs", tmp_path / "root", train=2, val=1, size_px=(32, 48))
    record = record_splits(fitted(tmp_path / "root", tmp_path, 4))
    again(fitted(tmp_path / "root", tmp_path, 5), record)
