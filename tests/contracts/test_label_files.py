"""Label files whose bytes or palettes do not hold the ids that their picture shows: no data set reads other ids."""

import shutil

import numpy as np
import pytest
from PIL import ExifTags, Image

from segray.config import RunConfig
from segray.data.datasets import DATASETS, open_dataset
from segray.data.preparation import prepare
from segray.data.synthetic import NEEDED_VALUES, write_scenes
from segray.data.tools.check import check
from segray.errors import DataError

SIZE = (32, 48)
IN_ONE_FILE = frozenset({"cityscapes_pairs"})
"""Data sets whose labels are JPEGs by design, beside the photo in one file."""


@pytest.fixture(scope="module", params=DATASETS)
def written(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("written") / "data"
    write_scenes(request.param, root, train=3, val=2, test=1, size_px=SIZE)
    return request.param, root


@pytest.fixture
def config(written, tmp_path):
    name, root = written
    copy = shutil.copytree(root, tmp_path / "data")
    values = {"data.dataset": name, "data.root": str(copy), "data.cache_dir": str(tmp_path / "cache")}
    return RunConfig().with_values(values | NEEDED_VALUES.get(name, {})).data


@pytest.fixture
def pairs(config):
    if config.dataset in IN_ONE_FILE:
        pytest.skip("labels are JPEGs by design")
    return open_dataset(config).pairs()


def silently(config):
    return prepare(config, lambda line: None)


def all_ids(config):
    dataset = open_dataset(config)
    return [dataset.reader.read(pair)[1] for pair in dataset.pairs()]


def renumber(path, order):
    """Write the same picture as a palette PNG, as image optimisers do: its colours in another order, nothing else."""
    with Image.open(path) as image:
        # Indices into a palette of one's own, greys or colours.
        pixels = np.asarray(image.convert("RGBA" if image.mode == "RGBA" else "RGB"))[..., :3]
    colors, indices = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    positions = order(len(colors))
    packed = Image.fromarray(np.argsort(positions)[indices].astype(np.uint8).reshape(pixels.shape[:2]), "P")
    packed.putpalette(colors[positions].tobytes())
    packed.save(path)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert (np.asarray(image.convert("RGB")) == pixels).all()


def shuffled(seed):
    return np.random.default_rng(seed).permutation


@pytest.mark.parametrize(("kind", "options"), [("jpeg", {"quality": 95}), ("webp", {"quality": 100})])
def test_a_label_that_was_kept_with_loss_is_a_problem_and_refused(config, pairs, kind, options):
    with Image.open(pairs[0].label) as image:
        image.convert("L" if kind == "jpeg" and image.mode == "L" else "RGB").save(pairs[0].label, kind, **options)
    found = [problem for problem in check(config).problems if "stored without loss" in problem]
    assert len(found) == 1
    assert str(pairs[0].label) in found[0]
    with pytest.raises(DataError, match="stored without loss"):
        silently(config)


def test_labels_that_an_optimiser_renumbered_give_the_same_ids_or_are_refused(config, pairs):
    with Image.open(pairs[0].label) as image:
        indices_are_ids = image.mode == "P"
    before = all_ids(config)
    for seed, pair in enumerate(pairs):
        renumber(pair.label, shuffled(seed))
    if indices_are_ids:
        assert any("image optimisers" in problem for problem in check(config).problems)
        with pytest.raises(DataError, match="image optimisers renumber"):
            silently(config)
    else:
        assert all((ids == expected).all() for ids, expected in zip(all_ids(config), before, strict=True))
        assert check(config).problems == []


def test_photos_that_exif_turns_without_their_labels_are_counted_and_said(config, pairs):
    said = []
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    for pair in pairs[:2]:
        with Image.open(pair.photo) as image:
            image.save(pair.photo, exif=exif)
    notes = [note for note in check(config).notes if "EXIF" in note]
    prepare(config, said.append)
    assert len(notes) == 1
    assert notes[0].startswith("2 photos are turned by their EXIF orientation, their labels are not: ")
    assert f"note: {notes[0]}" in said
    for pair in pairs[:2]:
        with Image.open(pair.label) as image:
            image.save(pair.label, exif=exif)
    assert not [note for note in check(config).notes if "EXIF" in note]
