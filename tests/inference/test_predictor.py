import numpy as np
import pytest
import torch
from PIL import Image

from segray.config import RunConfig
from segray.data.preparation import prepare
from segray.data.synthetic import write_scenes
from segray.errors import ResourceError
from segray.inference import predictor
from segray.inference.predictor import Predictor
from segray.labels import LabelSpace
from segray.models import SegmentationModel

SPACE = LabelSpace(names=("sky", "road"), colors=((0, 0, 255), (128, 64, 128)), raw_to_train={4: 0, 9: 1})


class Colors(torch.nn.Module):
    """Two classes that depend on a pixel's neighbours too."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolution = torch.nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, photos_BCHW):
        return self.convolution(photos_BCHW)


def predictor_of(values=None, **options):
    config = RunConfig().with_values({"train.precision": "float32", **(values or {})})
    return Predictor([SegmentationModel(Colors(), stride=8)], config, SPACE, device="cpu", **options)


@pytest.fixture
def photo(seeded):
    return np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)


@pytest.mark.parametrize("resize_px", [[32, 64], [96, 160]])
def test_a_photo_of_the_data_set_is_predicted_as_in_validation(tmp_path, resize_px):
    write_scenes("cityscapes", tmp_path / "scenes", train=1, val=1, size_px=(64, 128))
    values = {
        "data.dataset": "cityscapes",
        "data.root": str(tmp_path / "scenes"),
        "data.cache_dir": str(tmp_path / "cache"),
        "data.resize_px": resize_px,
    }
    model = predictor_of(values)
    photo, _ = prepare(model.config.data).val.pair(0)
    with torch.inference_mode():
        expected = model.models[0](torch.tensor(photo).permute(2, 0, 1)[None])[0]
    (path,) = (tmp_path / "scenes/leftImg8bit/val").rglob("*.png")
    with Image.open(path) as image:
        (logits,) = model.logits([np.asarray(image)])
    assert torch.equal(logits, expected)
    prediction = model.predict(path)
    assert prediction.labels.shape == (64, 128)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (7, 9)])
def test_any_size_has_labels_of_its_own_size(size):
    for values in ({}, {"data.resize_px": [16, 24]}):
        assert predictor_of(values).predict(np.zeros((*size, 3), np.uint8)).labels.shape == size


def test_probabilities_belong_to_the_labels(photo):
    prediction = predictor_of({"data.resize_px": [16, 24]}).predict(photo, probabilities=True)
    assert np.allclose(prediction.probabilities.sum(0), 1, atol=1e-5)
    assert (prediction.probabilities.argmax(0) == prediction.labels).all()
    assert predictor_of().predict(photo).probabilities is None


def test_batches_change_no_label_and_keep_the_order(photo):
    photos = [photo, photo[::-1], photo[:20], photo, photo[:20]]
    model = predictor_of()
    alone = [model.predict(each).labels for each in photos]
    together = [prediction.labels for prediction in model.predict_all(photos, batch_size=4)]
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))


def test_photos_are_read_as_they_are_needed(photo):
    read = []

    def photos():
        for index in range(3):
            read.append(index)
            yield photo

    predictions = predictor_of().predict_all(photos())
    next(predictions)
    assert read == [0]


def test_a_very_large_photo_is_predicted_in_windows(monkeypatch, photo):
    monkeypatch.setattr(predictor, "LARGE_PHOTO_PIXELS", 30 * 41 - 1)
    monkeypatch.setattr(predictor, "LARGE_PHOTO_WINDOW_PX", (16, 16))
    (found,), (expected,) = predictor_of().logits([photo]), predictor_of(window_px=(16, 16)).logits([photo])
    assert torch.equal(found, expected)
    monkeypatch.setattr(predictor, "LARGE_PHOTO_PIXELS", 30 * 41)
    (whole,) = predictor_of().logits([photo])
    assert not torch.equal(whole, expected)


def test_several_models_average_their_probabilities(photo):
    network = SegmentationModel(Colors(), stride=8)
    other = SegmentationModel(Colors(), stride=8)
    other.network.convolution.weight.data *= -1
    config = RunConfig().with_values({"train.precision": "float32"})

    def probabilities(models):
        return Predictor(models, config, SPACE, device="cpu").predict(photo, probabilities=True).probabilities

    mean = (probabilities([network]) + probabilities([other])) / 2
    assert np.allclose(probabilities([network, other]), mean, atol=1e-6)


def test_pictures_and_ids(photo):
    prediction = predictor_of().predict(photo)
    assert set(np.unique(prediction.label_ids())) <= {4, 9}
    assert (prediction.colors() == SPACE.palette()[prediction.labels]).all()
    assert (prediction.overlay(opacity=0.0) == photo).all()
    assert (prediction.overlay(opacity=1.0) == prediction.colors()).all()


def test_a_copy_that_augmentation_makes_too_large_is_predicted_in_windows(photo, monkeypatch):
    sizes = []
    seen = Colors.forward

    def forward(self, photos_BCHW):
        sizes.append(tuple(photos_BCHW.shape[-2:]))
        return seen(self, photos_BCHW)

    monkeypatch.setattr(Colors, "forward", forward)
    monkeypatch.setattr(predictor, "LARGE_PHOTO_PIXELS", 30 * 41)
    monkeypatch.setattr(predictor, "LARGE_PHOTO_WINDOW_PX", (24, 32))
    predictor_of(tta="2").predict(photo)
    assert sizes[0] == (32, 48)
    assert set(sizes[1:]) == {(24, 32)}


def test_a_device_without_enough_memory_is_named_with_what_helps(photo, monkeypatch):
    def forward(self, photos_BCHW):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(Colors, "forward", forward)
    with pytest.raises(ResourceError, match=r"cpu has too little memory for 1 photos of 30x41 px: .*--window"):
        predictor_of().predict(photo)
