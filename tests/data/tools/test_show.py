import numpy as np
import pytest
from PIL import Image

from segray.config import RunConfig
from segray.data.files.decode import read_photo
from segray.data.files.pair import Pair
from segray.data.synthetic import NEEDED_VALUES, WRITERS, write_scenes
from segray.data.tools.image_grid import GRID_WIDTH, MARGIN, Panel, render
from segray.data.tools.show import pick, show
from segray.data.tools.swatches import hatching
from segray.errors import ConfigError, DataError
from segray.labels import IGNORE_INDEX, LabelSpace

SPACE = LabelSpace(names=("road", "car"), colors=((10, 20, 30), (200, 100, 0)))


@pytest.fixture
def camvid(tmp_path):
    write_scenes("camvid", tmp_path / "camvid", train=4, val=1, size_px=(32, 64))
    return config("camvid", tmp_path / "camvid")


def config(name, root, **changes):
    values = {"data.dataset": name, "data.root": str(root), **NEEDED_VALUES.get(name, {}), **changes}
    return RunConfig().with_values(values).data


def named(count):
    return [Pair(f"{index:03d}", None, None) for index in range(count)]


@pytest.mark.parametrize("name", WRITERS)
def test_every_data_set_can_be_drawn(tmp_path, name):
    write_scenes(name, tmp_path / name, train=3, val=2, size_px=(32, 64))
    line = show(config(name, tmp_path / name), tmp_path / "grid.png", num_images=2)
    assert line.startswith(f"wrote {tmp_path / 'grid.png'}: {name}, train: 2 of ")
    assert read_photo(tmp_path / "grid.png").shape[1] > GRID_WIDTH


@pytest.mark.parametrize("file", ["grid.png", "grid.JPG", "grid.jpeg"])
def test_crops_of_a_policy_are_drawn(tmp_path, camvid, file):
    asked = camvid.model_copy(update={"policy": "strong", "crop_px": (16, 16)})
    assert show(asked, tmp_path / file, augmented=True).endswith(", policy strong")
    assert read_photo(tmp_path / file).shape[0] > 2 * MARGIN


def test_the_same_seed_draws_the_same_picture(tmp_path, camvid):
    asked = camvid.model_copy(update={"policy": "strong", "crop_px": (16, 16)})
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        show(asked, tmp_path / f"{name}.png", num_images=2, augmented=True, seed=seed)
    first, again, other = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert first == again != other


def test_images_differ_in_size_only_where_there_are_crops(tmp_path, camvid):
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(next((tmp_path / "camvid/train").iterdir()))
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(next((tmp_path / "camvid/trainannot").iterdir()))
    show(camvid, tmp_path / "grid.png")
    with pytest.raises(ConfigError, match=r"data\.crop_px must be set"):
        show(camvid, tmp_path / "grid.png", augmented=True)


def test_only_images_that_are_drawn_are_decoded(tmp_path, camvid):
    photos = sorted((tmp_path / "camvid/train").iterdir())
    drawn = pick(named(4), 1, seed=0)[0].name
    for index, photo in enumerate(photos):
        if index != int(drawn):
            photo.write_bytes(b"")
    show(camvid, tmp_path / "grid.png", num_images=1)
    with pytest.raises(DataError, match="the file is empty"):
        show(camvid, tmp_path / "grid.png", num_images=4)


@pytest.mark.parametrize("seed", range(5))
def test_images_are_spread_evenly(seed):
    picked = [int(pair.name) for pair in pick(named(100), 5, seed)]
    assert np.diff(picked).tolist() == [20] * 4


def test_more_images_than_there_are_draws_all():
    assert pick(named(3), 9, seed=0) == named(3)


def test_void_is_hatched_in_a_label_and_clear_over_a_photo():
    label = np.array([[0, IGNORE_INDEX]], np.uint8)
    photo = np.full((1, 2, 3), 100, np.uint8)
    alone = render(Panel(label=label), SPACE, cell_width=40)
    over = render(Panel(photo, label), SPACE, cell_width=40)
    assert (alone[:, :20] == (10, 20, 30)).all()
    assert (alone[:, 20:] == hatching((20, 40))[:, 20:]).all()
    assert (over[:, :20] == (55, 60, 65)).all()
    assert (over[:, 20:] == 100).all()


@pytest.mark.parametrize("shape", [(10, 2000), (2000, 10), (1, 1)])
def test_panels_keep_their_shape_within_a_cell(shape):
    panel = render(Panel(label=np.zeros(shape, np.uint8)), SPACE, cell_width=300)
    assert panel.shape[1] <= 300
    assert panel.shape[0] <= 360


@pytest.mark.parametrize(
    ("file", "options", "message"),
    [
        ("grid.gif", {}, "must end in"),
        ("nowhere/grid.png", {}, "folder that exists"),
        ("grid.png", {"num_images": 0}, "--images must lie from 1 to 50"),
        ("grid.png", {"split": "test"}, "choose from train, val"),
        ("grid.png", {"split": "vla"}, "did you mean 'val'"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(tmp_path, camvid, file, options, message):
    with pytest.raises(ConfigError, match=message):
        show(camvid, tmp_path / file, **options)
