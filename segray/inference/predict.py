"""Prediction of many photos with one model: find them, check where results go, and write the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from segray.data.files.photo import photo_array
from segray.errors import ConfigError
from segray.files import expanded
from segray.inference import prediction_record
from segray.inference.inputs import InputFile, find_inputs, results_of, without
from segray.inference.output_place import DEFAULT_FOLDER, Existing, check_outside_data, open_outputs
from segray.inference.outputs import Outputs, PredictionFolder
from segray.inference.pipeline import Predicted, predict_shots
from segray.inference.prediction import label_id_table
from segray.inference.predictor import Predictor
from segray.inference.shots import ReadPhoto, shots


@dataclass(frozen=True, kw_only=True)
class Request:
    """Photos to predict, and what to write of them."""

    places: Sequence[str] = ()
    """Files, folders and patterns"""
    split: str | None = None
    """Instead of places: a split of the data set"""
    data_root: str | None = None
    """Folder of the data set, if it lies elsewhere than for the run"""
    output: str | None = None
    """A folder or its URL, or a picture for one photo"""
    kinds: Sequence[str] = ("overlay",)
    existing: Existing = "refuse"
    batch_size: int = 1
    keep_going: bool = False

    def __post_init__(self) -> None:
        if bool(self.places) == (self.split is not None):
            raise ConfigError("segray predict needs photos or --split, one of them; docs/predict.md shows both")
        if self.batch_size < 1:
            raise ConfigError(f"--batch must be at least 1, but got {self.batch_size}")
        if self.data_root is not None and self.split is None:
            raise ConfigError("--data names the folder of the data set for --split; leave it out for photos")


@dataclass(frozen=True, kw_only=True)
class Job:
    """Photos that are found, with the loaded model and the place for the results."""

    model: Predictor
    files: Sequence[InputFile]
    """Photos and videos that are not done"""
    outputs: Outputs
    request: Request
    done: frozenset[str]
    """Names of photos and frames that an earlier start predicted"""
    read_photo: ReadPhoto = photo_array

    def results(self) -> Iterator[Predicted]:
        """Predict the photos and write the results; yield what became of each photo, in their order.

        Raises:
            DataError: A photo does not decode, and the request does not keep going.
            StorageError: A result cannot be written.
        """
        return predict_shots(
            self.model,
            shots(self.files, self.done, self.read_photo),
            self.outputs.write,
            batch_size=self.request.batch_size,
            probabilities="probabilities" in self.request.kinds,
            keep_going=self.request.keep_going,
        )


def prepare(load: Callable[[], Predictor], request: Request) -> Job:
    """Find the photos, check where results go, load the model, and write legend and record.

    Args:
        load: Loads the model; called after the cheap checks, but for a split, whose photos the model's config tells.
        request: What to predict.

    Raises:
        ConfigError: An option cannot work.
        DataError: There are no such photos.
        StorageError: There is no such model, or results cannot be written.
    """
    if request.split is None:
        read_photo: ReadPhoto = photo_array
        files = find_inputs(request.places, leave_out=expanded(request.output or DEFAULT_FOLDER))
        outputs = _outputs(request, files)
        model = load()
    else:
        # Data sets bring in libraries for augmentation, which photos do not need, and which take half a second.
        from segray.inference.split_photos import split_inputs

        model = load()
        found = model.location
        record = found.sweep.splits() if found and found.sweep else None
        files, read_photo = split_inputs(model.config, record, request.split, request.data_root)
        outputs = _outputs(request, files)
    check_outside_data(outputs, request.data_root or model.config.data.root)
    if "label_ids" in request.kinds:
        label_id_table(model.label_space)
    done: set[str] = set()
    if isinstance(outputs, PredictionFolder):
        is_resumed = request.existing == "resume"
        prediction_record.begin(outputs.folder, prediction_record.record_of(model), resume=is_resumed)
        if request.existing == "overwrite":
            # A start that is cut must leave no result of another model among its own: a resume would keep it.
            outputs.delete(results_of(files))
        outputs.write_legend(model.label_space)
        done = outputs.done() if is_resumed else done
    return Job(
        model=model,
        files=without(files, done),
        outputs=outputs,
        request=request,
        done=frozenset(filter(results_of(files), done)),
        read_photo=read_photo,
    )


def _outputs(request: Request, files: Sequence[InputFile]) -> Outputs:
    return open_outputs(
        request.output,
        request.kinds,
        [file.path for file in files],
        is_one_photo=len(files) == 1 and not files[0].is_video,
        existing=request.existing,
    )
