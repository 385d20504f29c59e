"""TensorBoard: event files in the sweep's folder, one run for each trial."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from segray.errors import ConfigError
from segray.shown import redacted
from segray.tuning.callbacks.kind import Callback
from segray.tuning.callbacks.metrics import epoch_metrics
from segray.values import Values

if TYPE_CHECKING:
    from segray.records import EpochRecord, Outcome, SweepInfo, SweepStatus
    from segray.storage import SweepFiles

FOLDER = "tensorboard"
"""Folder below the sweep's folder; each trial has a folder of its own in it"""

_GROUPS = ("train", "val", "best")
"""First words of metrics that TensorBoard shows together, since the rest follows a slash: ``val/miou``"""


class TensorBoard(Callback):
    """Scalars of every epoch, hyperparameters, the config, the outcome, and sample images with predictions."""

    def check(self, files: SweepFiles) -> None:
        """Refuse storage that is no local path: event files are appended to."""
        if not files.folder.is_local:
            raise ConfigError(
                "--callback tensorboard appends to files, so --storage must be a local path, but the sweep lies at "
                f"{redacted(files.folder.path)!r} in an object store; mount the store as a folder, or use --callback "
                "mlflow or wandb"
            )

    def sweep_begins(self, info: SweepInfo, files: SweepFiles) -> None:
        """Write which hyperparameters and metrics the table of all trials shows."""
        from tensorboardX.proto.api_pb2 import DataType, Experiment, HParamInfo, MetricInfo, MetricName

        self._objective, self._files = info.objective, files
        self._trials: dict[str, _EventFile] = {}
        experiment = Experiment(
            hparam_infos=[HParamInfo(name=key, type=DataType.Value(_type(text))) for key, text in info.space.items()],
            metric_infos=[MetricInfo(name=MetricName(tag=tag)) for tag in (_tag(info.objective.column), "best/epoch")],
        )
        root = _EventFile(f"{files.folder.path}/{FOLDER}")
        root.write(_hparams_summary("experiment", experiment))
        root.close()

    def trial_begins(self, trial_id: str, config: Values, values: Values) -> None:
        """Open the trial's event file; TensorBoard reads all files of a folder as one run."""
        from tensorboardX.proto.plugin_hparams_pb2 import SessionStartInfo
        from tensorboardX.summary import text

        if trial_id not in self._trials:
            self._trials[trial_id] = _EventFile(f"{self._files.folder.path}/{FOLDER}/{trial_id}")
        session = SessionStartInfo(start_time_secs=time.time())
        for key, value in values.items():
            _set_value(session.hparams[key], value)
        # Four spaces: TensorBoard shows text as Markdown, and a code block keeps lines apart.
        lines = "\n".join(f"    {key}: {value}" for key, value in config.items())
        self._trials[trial_id].write(_hparams_summary("session_start_info", session), text("config", lines))

    def epoch_done(self, trial_id: str, record: EpochRecord) -> None:
        """Write the epoch's scalars."""
        from tensorboardX.summary import scalar

        metrics = epoch_metrics(record, self._objective)
        summaries = [scalar(_tag(name), value) for name, value in metrics.items()]
        self._trials[trial_id].write(*summaries, step=record.epoch)

    def trial_ended(self, trial_id: str, outcome: Outcome) -> None:
        """Write the best model's predictions and the outcome, and close the trial's event file."""
        from tensorboardX.proto.api_pb2 import Status
        from tensorboardX.proto.plugin_hparams_pb2 import SessionEndInfo
        from tensorboardX.summary import text

        events = self._trials.pop(trial_id)
        events.write(*_sample_summaries(self._files, trial_id), step=outcome.best_epoch or 0)
        status = "STATUS_SUCCESS" if outcome.status in ("finished", "stopped") else "STATUS_FAILURE"
        session = SessionEndInfo(status=Status.Value(status), end_time_secs=time.time())
        note = f"{outcome.status}: {outcome.note}" if outcome.note else outcome.status
        events.write(_hparams_summary("session_end_info", session), text("outcome", note), step=outcome.epochs)
        events.close()

    def sweep_ends(self, status: SweepStatus) -> None:  # noqa: ARG002 - Callback's signature
        """Close the event files of trials that a resume continues."""
        while self._trials:
            self._trials.popitem()[1].close()


class _Value(Protocol):
    bool_value: bool
    number_value: float
    string_value: str


class _EventFile:
    """One more event file in a folder.

    tensorboardX's SummaryWriter writes in a thread that ends when the disk is full, and then waits for it for ever.
    """

    def __init__(self, folder: str) -> None:
        from tensorboardX.event_file_writer import EventsWriter

        Path(folder).mkdir(parents=True, exist_ok=True)
        # Its name holds seconds alone: without the suffix, a second file would replace the first.
        self._writer = EventsWriter(f"{folder}/events", f".{time.time_ns()}")

    def write(self, *summaries: object, step: int = 0) -> None:
        """Write summaries of a step, so that a TensorBoard that runs shows them at once."""
        from tensorboardX.proto.event_pb2 import Event

        for summary in summaries:
            self._writer.write_event(Event(wall_time=time.time(), step=step, summary=summary))
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def _tag(name: str) -> str:
    first, _, rest = name.partition("_")
    return f"{first}/{rest}" if first in _GROUPS and "/" not in name else name


def _type(distribution: str) -> str:
    """Return the type of a searched key from its distribution in words; TensorBoard filters numbers by range."""
    return "DATA_TYPE_UNSET" if distribution.startswith("one of") else "DATA_TYPE_FLOAT64"


def _set_value(field: _Value, value: object) -> None:
    """Set a protobuf Value; TensorBoard knows numbers, bools and text."""
    # Before numbers, since True is an int in Python.
    if isinstance(value, bool):
        field.bool_value = value
    elif isinstance(value, int | float):
        field.number_value = value
    else:
        field.string_value = str(value)


def _hparams_summary(part: str, content: object) -> object:
    """Return the summary that holds a message of TensorBoard's plugin for hyperparameters.

    Args:
        part: experiment, session_start_info or session_end_info.
        content: The message.
    """
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata

    data = HParamsPluginData(version=0, **{part: content}).SerializeToString()
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="hparams", content=data))
    return Summary(value=[Summary.Value(tag=f"_hparams_/{part}", metadata=metadata)])


def _sample_summaries(files: SweepFiles, trial_id: str) -> Iterator[object]:
    """Yield a summary of each sample image: photo, truth and the trial's prediction side by side."""
    from PIL import Image
    from tensorboardX.proto.summary_pb2 import Summary

    trial = files.trial(trial_id).folder
    for name in trial.names("samples"):
        stem, mark, _ = name.rpartition("_prediction.png")
        if not mark:
            continue
        contents = [files.folder.read_bytes(f"samples/{stem}_{kind}.png") for kind in ("photo", "truth")]
        contents.append(trial.read_bytes(f"samples/{name}"))
        parts = [Image.open(io.BytesIO(content)).convert("RGB") for content in contents]
        row = Image.new("RGB", (sum(part.width for part in parts), max(part.height for part in parts)))
        left = 0
        for part in parts:
            row.paste(part, (left, 0))
            left += part.width
        stream = io.BytesIO()
        row.save(stream, "PNG")
        image = Summary.Image(height=row.height, width=row.width, colorspace=3, encoded_image_string=stream.getvalue())
        yield Summary(value=[Summary.Value(tag=f"samples/{stem}", image=image)])
