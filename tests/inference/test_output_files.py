import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_models import SPACE, bright_is_sky, half_bright, sweep_with_models, write_photos

from segray.errors import ConfigError, StorageError
from segray.folder import open_folder
from segray.inference.output_place import check_outside_data, open_outputs, parse_kinds
from segray.inference.outputs import KINDS, PictureFile, PredictionFolder
from segray.inference.prediction_record import begin, record_of

ALL = tuple(KINDS)


@pytest.fixture
def outputs(tmp_path):
    return PredictionFolder(folder=open_folder(tmp_path / "out"), kinds=ALL)


@pytest.fixture
def prediction():
    return bright_is_sky().predict(half_bright(), probabilities=True)


def image(path):
    with Image.open(path) as opened:
        return opened.mode, np.array(opened)


def test_every_kind_has_its_folder_and_its_content(tmp_path, outputs, prediction):
    outputs.write("berlin/photo", prediction)
    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    assert files == {f"{kind}/berlin/photo{KINDS[kind].suffix}" for kind in ALL}
    assert outputs.done() == {"berlin/photo"}
    out = tmp_path / "out"
    for kind, mode, value in (("train_ids", "L", [0, 1]), ("label_ids", "L", [23, 7]), ("color", "RGB", None)):
        found_mode, array = image(out / kind / "berlin/photo.png")
        assert found_mode == mode
        if value is not None:
            assert [array[0, 0], array[-1, 0]] == value
    assert (image(out / "color/berlin/photo.png")[1] == prediction.colors()).all()
    assert (image(out / "overlay/berlin/photo.png")[1] == prediction.overlay()).all()


def test_probabilities_are_half_precision_with_the_names_of_the_classes(tmp_path, outputs, prediction):
    outputs.write("photo", prediction)
    with np.load(tmp_path / "out/probabilities/photo.npz") as file:
        assert list(file["names"]) == ["sky", "road"]
        assert file["probabilities"].dtype == np.float16
        assert np.allclose(file["probabilities"], prediction.probabilities, atol=1e-3)
        assert file["probabilities"].shape == (2, 30, 41)


def test_a_photo_is_done_if_all_of_its_files_are_there(tmp_path, outputs, prediction):
    outputs.write("a", prediction)
    outputs.write("b", prediction)
    (tmp_path / "out/color/a.png").unlink()
    assert outputs.done() == {"b"}


def test_the_legend_is_drawn_for_pictures_alone(tmp_path):
    folder = open_folder(tmp_path)
    PredictionFolder(folder=folder, kinds=("label_ids", "probabilities")).write_legend(SPACE)
    assert not folder.exists("legend.png")
    PredictionFolder(folder=folder, kinds=("color",)).write_legend(SPACE)
    with Image.open(io.BytesIO(folder.read_bytes("legend.png"))) as legend:
        assert legend.width > 300


@pytest.mark.parametrize(("text", "kinds"), [("overlay", ("overlay",)), (" train_ids ,color,", ("color", "train_ids"))])
def test_kinds_are_listed(text, kinds):
    assert parse_kinds(text) == kinds


@pytest.mark.parametrize(("text", "why"), [("overlays", "did you mean 'overlay'"), (" ,", "names none")])
def test_kinds_that_are_not_there(text, why):
    with pytest.raises(ConfigError, match=why):
        parse_kinds(text)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_photos(tmp_path / "photos", "1.png", "2.png")


@pytest.mark.parametrize(
    ("output", "kinds", "is_one", "place"),
    [
        (None, ["overlay"], True, "overlay.png"),
        (None, ["color"], True, "color.png"),
        (None, ["overlay", "color"], True, "predictions"),
        (None, ["train_ids"], True, "predictions"),
        (None, ["overlay"], False, "predictions"),
        ("picture.JPG", ["color"], True, "picture.JPG"),
        ("new/folder", ["overlay"], True, "new/folder"),
    ],
)
def test_where_results_go(tmp_path, photos, output, kinds, is_one, place):
    outputs = open_outputs(output, kinds, photos, is_one_photo=is_one)
    assert outputs.place == str(tmp_path / place)
    assert isinstance(outputs, PictureFile) == (Path(place).suffix != "")
    assert not (tmp_path / place).exists()


@pytest.mark.parametrize(
    ("output", "kinds", "is_one", "why"),
    [
        ("one.png", ["overlay"], False, "names one file, but there are several photos"),
        ("one.png", ["overlay", "color"], True, "--save must be one of overlay, color, but is overlay,color"),
        ("one.jpg", ["train_ids"], True, "--save must be one of overlay, color, but is train_ids"),
    ],
)
def test_one_picture_for_more_than_one(photos, output, kinds, is_one, why):
    with pytest.raises(ConfigError, match=why):
        open_outputs(output, kinds, photos, is_one_photo=is_one)


def test_a_folder_that_holds_files_is_named_with_what_it_holds(tmp_path, photos):
    (tmp_path / "out/overlay").mkdir(parents=True)
    (tmp_path / "out/notes.txt").touch()
    with pytest.raises(
        StorageError, match=r"must be new or empty, but holds notes.txt, overlay; name another .*--overw"
    ):
        open_outputs("out", ["overlay"], photos, is_one_photo=False)
    for existing in ("overwrite", "resume"):
        assert open_outputs("out", ["overlay"], photos, is_one_photo=False, existing=existing)


@pytest.mark.parametrize("output", ["photos", "."])
def test_results_never_lie_around_the_photos(photos, output):
    with pytest.raises(StorageError, match=r"it holds the input .*1\.png"):
        open_outputs(output, ["overlay"], photos, is_one_photo=False, existing="overwrite")


def test_results_may_lie_beside_the_photos(photos):
    assert open_outputs("photos/out", ["overlay"], photos, is_one_photo=False)


def test_a_file_is_no_folder(tmp_path, photos):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="is a file; name a folder"):
        open_outputs("file/out", ["overlay"], photos, is_one_photo=False)


@pytest.mark.parametrize("place", ["", "/trials", "/predictions/of/today"])
def test_results_never_lie_among_a_sweeps_files(tmp_path, photos, place):
    files = sweep_with_models(tmp_path / "runs")
    with pytest.raises(StorageError, match="among the files of the sweep"):
        open_outputs(files.folder.path + place, ["overlay"], photos, is_one_photo=False)


@pytest.mark.parametrize("output", ["data/out", "data/out.png"])
def test_results_never_lie_in_a_data_set(tmp_path, photos, output):
    (tmp_path / "data").mkdir()
    outputs = open_outputs(output, ["overlay"], photos, is_one_photo=True)
    check_outside_data(outputs, str(tmp_path / "elsewhere"))
    with pytest.raises(StorageError, match="in the data set"):
        check_outside_data(outputs, str(tmp_path / "data"))


def test_a_resume_goes_on_in_the_same_way_alone(tmp_path):
    folder = open_folder(tmp_path)
    begin(folder, record_of(bright_is_sky(tta="flip")), resume=False)
    begin(folder, record_of(bright_is_sky(tta="flip")), resume=True)
    with pytest.raises(StorageError, match="made in another way: tta was 'flip' and is ''"):
        begin(folder, record_of(bright_is_sky()), resume=True)
    begin(folder, record_of(bright_is_sky()), resume=False)
    begin(folder, record_of(bright_is_sky()), resume=True)


def test_a_damaged_record_ends_a_resume(tmp_path):
    folder = open_folder(tmp_path)
    folder.write_json("predictions.json", {"title": 1})
    with pytest.raises(StorageError, match="is damaged"):
        begin(folder, record_of(bright_is_sky()), resume=True)
