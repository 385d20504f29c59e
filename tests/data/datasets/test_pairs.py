"""Cityscapes as pairs: palette labels, and K-Means labels that stay the same."""

import json
import multiprocessing
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from cluster_labels import labels_of, send_labels
from PIL import Image

from segray.config import DataConfig, PairsConfig, SplitConfig
from segray.data.datasets import open_dataset
from segray.data.datasets.cityscapes import PALETTE as COLOR_OF_LABEL_ID
from segray.data.datasets.kmeans import fit_clusters
from segray.data.datasets.nearest_color import nearest_color
from segray.data.datasets.pairs_clusters import name_clusters
from segray.data.datasets.pairs_reader import PALETTE, palette_space
from segray.data.files.pair import Pair
from segray.data.preparation import prepare
from segray.data.scenes import draw_scene
from segray.data.synthetic import write_scenes
from segray.data.synthetic.folder import TRAIN_IDS
from segray.errors import ConfigError, DataError

ROAD, CAR, SKY = (128, 64, 128), (0, 0, 142), (70, 130, 180)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGRAY_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp("pairs") / "root"
    write_scenes("cityscapes_pairs", root, train=6, val=3, size_px=(64, 64))
    return root


@pytest.fixture
def root(scenes, tmp_path):
    return shutil.copytree(scenes, tmp_path / "root")


def palette(root, **pairs):
    return DataConfig(dataset="cityscapes_pairs", root=str(root), pairs=PairsConfig(**pairs))


def kmeans(root, **pairs):
    return palette(root, labels="kmeans", **pairs)


def write_pair(path, mask, mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    both = np.concatenate([np.full_like(mask, 30), mask], axis=1)
    Image.fromarray(both).convert(mode).save(path)
    return Pair("x", path, path)


def plain_mask(*colors, size=16):
    """Upright stripes of equal width."""
    return np.repeat(np.array(colors, np.uint8), size, axis=0)[None].repeat(size, axis=0)


def read_palette(root, pair, **options):
    return open_dataset(palette(root, **options)).reader.read(pair)


def test_the_left_half_is_the_photo_and_the_right_half_the_label(root):
    pair = write_pair(root / "train/7.png", plain_mask(ROAD, CAR))
    photo, label = read_palette(root, pair)
    assert photo.shape == (16, 32, 3)
    assert (photo == 30).all()
    assert np.unique(label[:, :16]).tolist() == [0]
    assert np.unique(label[:, 16:]).tolist() == [13]


def test_names_are_those_of_the_files_with_their_split(root):
    names = [pair.name for pair in open_dataset(palette(root)).official["train"]]
    assert names == [f"train/{number}" for number in range(1, 7)]


def test_the_folder_of_kaggles_archive_is_found(root, tmp_path):
    shutil.move(root, tmp_path / "archive/cityscapes_data")
    assert len(open_dataset(palette(tmp_path / "archive")).pairs()) == 9


def test_the_published_system_divides_all_images(root):
    config = palette(root).model_copy(update={"split": SplitConfig(kind="ratio")})
    prepared = prepare(config, announce=lambda line: None)
    assert [len(prepared.train), len(prepared.val), len(prepared.test)] == [6, 1, 2]


def test_an_odd_width_is_an_error(root):
    Image.new("RGB", (33, 16)).save(root / "train/7.jpg")
    with pytest.raises(DataError, match=r"7\.jpg: .*width must be even, but it is 33x16"):
        prepare(palette(root), announce=lambda line: None)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (plain_mask((255, 128, 0), (0, 255, 128)), "is the mask on the left"),
        (plain_mask((7, 7, 7), (11, 11, 11)), "does it hold class ids"),
    ],
)
def test_a_half_that_is_no_mask_of_colors_is_an_error(root, mask, message):
    pair = write_pair(root / "train/7.png", mask)
    with pytest.raises(DataError, match=rf"7\.png: .*{message}"):
        read_palette(root, pair)


def test_a_pixel_too_far_from_every_color_is_void(root):
    pair = write_pair(root / "train/7.png", plain_mask(ROAD, ROAD, (128, 64, 178)))
    assert read_palette(root, pair, max_distance=49)[1][0, -1] == 255
    assert read_palette(root, pair, max_distance=51)[1][0, -1] == 0


def test_a_pole_and_a_group_of_poles_have_one_color_and_are_a_pole():
    assert PALETTE[(153, 153, 153)] == 5
    assert PALETTE[(0, 0, 0)] == 255


def test_the_nearest_color_is_that_of_a_plain_search():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    colors = [tuple(color) for color in rng.integers(0, 256, (64, 3)).tolist()]
    squared = ((pixels[..., None, :].astype(int) - np.array(colors)) ** 2).sum(axis=-1)
    index, squared_distance = nearest_color(pixels, colors)
    np.testing.assert_array_equal(index, squared.argmin(axis=-1))
    np.testing.assert_array_equal(squared_distance, squared.min(axis=-1))


@pytest.mark.parametrize("quality", [75, 90])
def test_most_labels_survive_the_jpeg(root, quality):
    label = draw_scene(np.random.default_rng(3), (256, 256))[1]
    path = root / "train/7.jpg"
    mask = COLOR_OF_LABEL_ID[label]
    Image.fromarray(np.concatenate([mask, mask], axis=1)).save(path, quality=quality)
    truth = TRAIN_IDS[label]
    found = read_palette(root, Pair("x", path, path))[1]
    assert (found == truth)[truth != 255].mean() > 0.95


def test_k_means_labels_are_the_nearest_centers(root):
    dataset = open_dataset(kmeans(root))
    pair = dataset.official["val"][0]
    mask = np.asarray(Image.open(pair.label))[:, 64:].astype(int)
    centers = np.array(dataset.label_space.colors)
    expected = ((mask[..., None, :] - centers) ** 2).sum(axis=-1).argmin(axis=-1)
    np.testing.assert_array_equal(dataset.reader.read(pair)[1], expected)


def test_clusters_are_judged_by_the_palette_label(root):
    dataset = open_dataset(kmeans(root))
    pair = dataset.official["val"][0]
    label = dataset.reader.read(pair)[1]
    np.testing.assert_array_equal(dataset.scoring.judged_label(pair, label), read_palette(root, pair)[1])
    without_room = kmeans(root).model_copy(update={"cache_limit_gb": 1e-9})
    for config, has_pixels in ((without_room, False), (kmeans(root), True)):
        prepared = prepare(config, announce=lambda line: None)
        assert prepared.val.has_pixels == has_pixels
        np.testing.assert_array_equal(prepared.val.judged(0, label), read_palette(root, pair)[1])
        assert prepared.scored_space == palette_space()


def test_built_twice_the_labels_are_equal(root, tmp_path):
    first_space, first = labels_of(root)
    second_space, second = labels_of(shutil.copytree(root, tmp_path / "copy", ignore=lambda *_: [".segray"]))
    assert first_space == second_space
    np.testing.assert_array_equal(first, second)


def test_two_processes_at_once_end_up_with_one_fit(root):
    context = multiprocessing.get_context("spawn")
    queue, barrier = context.Queue(), context.Barrier(2)
    processes = [context.Process(target=send_labels, args=(root, barrier, queue)) for _ in range(2)]
    for process in processes:
        process.start()
    (first_space, first), (second_space, second) = queue.get(timeout=60), queue.get(timeout=60)
    for process in processes:
        process.join()
    assert first_space == second_space
    np.testing.assert_array_equal(first, second)
    assert len(list((root / ".segray").iterdir())) == 1


@pytest.fixture
def no_fit(monkeypatch):
    """From its call on, a fit is an error."""

    def refuse(*arguments):
        raise AssertionError("fitted")

    return lambda: monkeypatch.setattr("segray.data.datasets.kmeans.fit_clusters", refuse)


def test_a_kept_fit_is_not_fitted_again(root, no_fit):
    before = open_dataset(kmeans(root))
    no_fit()
    assert open_dataset(kmeans(root)).reader.key == before.reader.key


def test_each_k_and_each_seed_has_its_own_fit_and_cache(root):
    configs = [kmeans(root), kmeans(root, num_clusters=5), kmeans(root, kmeans_seed=1)]
    folders = {prepare(config, announce=lambda line: None).train.folder for config in configs}
    assert len(folders) == 3
    assert len(list((root / ".segray").iterdir())) == 3


def test_the_file_says_what_was_fitted_on_what(root):
    open_dataset(kmeans(root))
    (path,) = (root / ".segray").iterdir()
    content = json.loads(path.read_text())
    assert (content["num_clusters"], content["seed"], content["num_files"], content["num_masks"]) == (10, 0, 6, 6)
    assert content["num_pixels"] == 6000
    assert sorted(content["versions"]) == ["numpy", "scikit-learn"]


def test_other_files_have_another_fit(root):
    open_dataset(kmeans(root))
    (root / "train/6.jpg").unlink()
    open_dataset(kmeans(root))
    assert len(list((root / ".segray").iterdir())) == 2


def test_the_fit_does_not_depend_on_what_is_excluded_or_validates(root, no_fit):
    before = open_dataset(kmeans(root)).reader.key
    no_fit()
    (root / "val/2.jpg").unlink()
    assert open_dataset(kmeans(root).model_copy(update={"exclude": ("train/2",)})).reader.key == before


@pytest.mark.parametrize("content", ["", "{}", '{"centers": 3}'])
def test_a_damaged_fit_is_named_with_the_fix(root, content):
    open_dataset(kmeans(root))
    (path,) = (root / ".segray").iterdir()
    path.write_text(content)
    with pytest.raises(DataError, match=rf"{path.name}: cannot be used .*; delete the file to fit the clusters again"):
        open_dataset(kmeans(root))


def test_centers_that_are_not_k_colors_are_named(root):
    open_dataset(kmeans(root))
    (path,) = (root / ".segray").iterdir()
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"centers": [[0, 0, 300]]}))
    with pytest.raises(DataError, match="must hold 10 distinct colours"):
        open_dataset(kmeans(root))


def test_where_the_data_cannot_be_written_the_fit_lies_in_the_cache(root, tmp_path, no_fit):
    (root / ".segray").write_text("a file where the folder would be")
    before = open_dataset(kmeans(root)).reader.key
    assert len(list((tmp_path / "cache").iterdir())) == 1
    elsewhere = kmeans(root).model_copy(update={"cache_dir": str(tmp_path / "elsewhere")})
    prepare(elsewhere, announce=lambda line: None)
    assert len(list((tmp_path / "elsewhere").glob("kmeans-*.json"))) == 1
    no_fit()
    assert open_dataset(kmeans(root)).reader.key == before


def test_where_nothing_can_be_written_the_labels_are_the_same(root, tmp_path, monkeypatch):
    before = open_dataset(kmeans(root)).reader.key
    shutil.rmtree(root / ".segray")
    (root / ".segray").touch()
    (tmp_path / "taken").touch()
    monkeypatch.setenv("SEGRAY_CACHE", str(tmp_path / "taken"))
    assert open_dataset(kmeans(root)).reader.key == before


def test_a_damaged_mask_is_left_out_of_the_fit(root):
    (root / "train/3.jpg").write_bytes(b"")
    dataset = open_dataset(kmeans(root))
    with pytest.raises(DataError, match=r"3\.jpg: the file is empty"):
        dataset.reader.read(dataset.official["train"][2])


def test_masks_that_are_all_damaged_are_an_error(root):
    for path in (root / "train").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="none can be read") as caught:
        open_dataset(kmeans(root))
    assert len(caught.value.problems) == 6


def test_more_clusters_than_colors_is_an_error():
    pixels = np.array([ROAD, ROAD, CAR, SKY], np.uint8)
    assert fit_clusters(pixels, 3, seed=0) == tuple(sorted([ROAD, CAR, SKY]))
    with pytest.raises(ConfigError, match=r"num_clusters must be at least 2 and at most 3, .* but got 4"):
        fit_clusters(pixels, 4, seed=0)


def test_centers_that_rounding_made_equal_move_to_the_nearest_free_blue(monkeypatch):
    centers = np.array([(9, 9, 255), (9, 9, 254.9), (9, 9, 255.2), (9, 9, 3), (9, 9, 3)])
    monkeypatch.setattr(
        "sklearn.cluster.MiniBatchKMeans.fit", lambda self, _: SimpleNamespace(cluster_centers_=centers)
    )
    pixels = np.arange(30, dtype=np.uint8).reshape(10, 3)
    blues = [blue for _, _, blue in fit_clusters(pixels, 5, seed=0)]
    assert blues == [2, 3, 253, 254, 255]


def test_a_seed_that_scikit_learn_cannot_take_is_an_error(root):
    with pytest.raises(ConfigError, match=r"kmeans_seed must be at least 0 .* but got -1"):
        open_dataset(kmeans(root, kmeans_seed=-1))


def test_clusters_are_named_by_their_nearest_color_and_merged_names_are_unique():
    near_road, near_void = (120, 70, 120), (3, 2, 0)
    centers, space, class_of = name_clusters([near_void, CAR, near_road, (0, 0, 0), ROAD])
    assert space.names == ("road", "road 2", "car", "void", "void 2")
    assert class_of == (0, 0, 13, None, None)
    assert centers == space.colors == (ROAD, near_road, CAR, (0, 0, 0), near_void)


def test_clusters_that_are_all_void_are_an_error():
    with pytest.raises(ConfigError, match="all 2 clusters"):
        name_clusters([(0, 0, 0), (1, 1, 1)])
