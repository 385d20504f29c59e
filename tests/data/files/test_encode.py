"""New folders of images: whole or not there, and one error where they cannot be written."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segray.config import DataConfig
from segray.data.files.encode import new_folder, write_image
from segray.data.synthetic import WRITERS, write_scenes
from segray.data.tools.sample import sample
from segray.errors import DataError, StorageError

SIZE = (32, 48)


@pytest.fixture
def full_disk(monkeypatch):
    """From its call on, no file can be written."""

    def refuse(*arguments, **options):
        raise OSError(28, "No space left on device")

    def fill():
        monkeypatch.setattr(Path, "write_bytes", refuse)
        monkeypatch.setattr(Image.Image, "save", refuse)

    return fill


@pytest.mark.parametrize("name", ["ids.png", "photo.png", "photo.jpg"])
def test_what_is_written_is_read_back(tmp_path, name):
    image = np.full((8, 8) if name == "ids.png" else (8, 8, 3), 7, np.uint8)
    image[:, 4:] = 200
    write_image(tmp_path / "new" / name, image)
    with Image.open(tmp_path / "new" / name) as written:
        assert written.format == ("JPEG" if name.endswith("jpg") else "PNG")
        np.testing.assert_allclose(np.asarray(written).astype(int), image, atol=3)


@pytest.mark.parametrize("place", ["/dev/null/new", "/proc/new", "file/new", "file/deeper/new"])
def test_a_folder_that_cannot_be_made_is_one_error(tmp_path, place):
    (tmp_path / "file").touch()
    target = tmp_path / place
    with (
        pytest.raises(StorageError, match=rf"a sample cannot be written to '{target}': "),
        new_folder(target, "a sample"),
    ):
        raise AssertionError("made")


def test_a_folder_that_exists_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a sample needs a new folder, .* exists"), new_folder(tmp_path, "a sample"):
        raise AssertionError("made")


@pytest.mark.parametrize("name", WRITERS)
def test_a_disk_that_fills_up_while_scenes_are_drawn_is_one_error_and_leaves_nothing(tmp_path, full_disk, name):
    full_disk()
    with pytest.raises(StorageError, match=r"drawn data set cannot be written .*: No space left on device"):
        write_scenes(name, tmp_path / "new", train=1, val=1, size_px=SIZE)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_while_a_sample_is_drawn_is_one_error_and_leaves_nothing(tmp_path, full_disk):
    write_scenes("cityscapes", tmp_path / "source", train=1, val=1, size_px=SIZE)
    full_disk()
    with pytest.raises(StorageError, match=r"a sample cannot be written .*: No space left on device"):
        sample(DataConfig(root=str(tmp_path / "source")), tmp_path / "new", train=1, test=1)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
