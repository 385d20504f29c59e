"""The prediction of a photo file with a trained model, and an overlay of the predicted classes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from segray.data.files.encode import check_picture, write_picture
from segray.inference.prediction import Prediction
from segray.inference.predictor import load_model


class PredictedPhoto(NamedTuple):
    """The prediction of a photo, as an overlay that was written."""

    title: str
    """The model in a few words"""
    prediction: Prediction


def predict_file(location: str, photo: Path, overlay: Path, *, trial: str | None = None) -> PredictedPhoto:
    """Predict a photo with a trained model, and write an overlay of the classes' colours.

    Args:
        location: A run, trial, checkpoint or model folder.
        photo: An image file of any size.
        overlay: PNG or JPEG file to write, of the photo's size.
        trial: A trial of the run, in place of the best one.

    Raises:
        StorageError: There is no trained model, or the overlay cannot be written.
        DataError: The photo cannot be read or decoded.
    """
    check_picture(overlay, inputs=[photo])
    model = load_model(location, trial=trial)
    target = check_picture(overlay, data_root=model.config.data.root)
    prediction = model.predict(photo)
    write_picture(target, prediction.overlay())
    return PredictedPhoto(model.title, prediction)
