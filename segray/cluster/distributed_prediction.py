"""Prediction on all machines of a Ray cluster: Ray Data hands files to actors, each of which loads the model once.

Every machine must reach the photos, the model and the output folder under the same paths or URLs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import ray
import ray.data

from segray.cluster.connection import Connection
from segray.errors import ConfigError, DataError, ResourceError
from segray.files import expanded
from segray.foreign import in_short
from segray.inference.choice import ModelChoice
from segray.inference.inputs import InputFile
from segray.inference.outputs import PredictionFolder
from segray.inference.pipeline import Predicted, predict_shots
from segray.inference.predict import Job, Request
from segray.inference.shots import ReadPhoto, shots

FILES_PER_TASK: Final = 16
"""Files that an actor takes at a time: enough to decode and encode beside the model, few enough to share evenly."""

CPUS_PER_ACTOR: Final = 2
"""CPUs of an actor without a GPU; the model computes on as many threads."""

Row = dict[str, list[str]]
"""A batch of Ray Data: column -> values"""


@contextmanager
def on_cluster(job: Job, choice: ModelChoice) -> Iterator[Iterator[Predicted]]:
    """Join or start a Ray cluster, and yield what becomes of each photo, in the order in which photos are done.

    Args:
        job: The photos and the output folder; its model is not used.
        choice: The model, which each actor loads.

    Raises:
        ConfigError: The output is one picture.
        DataError: A photo does not decode, and the request does not keep going.
        ResourceError: The cluster cannot be joined, or an actor failed, such as on a full disk.
    """
    outputs = job.outputs
    if not isinstance(outputs, PredictionFolder):
        raise ConfigError(f"--distributed needs a folder as output, but -o is {outputs.place}; name a folder")
    if not job.files:
        yield iter(())
        return
    with Connection() as connection:
        plan = _plan(connection.nodes(), choice, len(job.files))
        yield _results(job, outputs, _absolute(choice), plan)


def _results(
    job: Job, outputs: PredictionFolder, choice: ModelChoice, plan: Mapping[str, float]
) -> Iterator[Predicted]:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    rows = [{"path": str(file.path), "name": file.name} for file in job.files]
    tasks = -(-len(rows) // FILES_PER_TASK)
    done = ray.data.from_items(rows, override_num_blocks=tasks).map_batches(
        _Worker,
        fn_constructor_kwargs={
            "choice": choice,
            "outputs": outputs,
            "request": job.request,
            "done": job.done,
            "read_photo": job.read_photo,
        },
        batch_size=FILES_PER_TASK,
        batch_format="numpy",
        concurrency=int(plan["actors"]),
        num_cpus=plan["cpus"],
        num_gpus=plan["gpus"],
    )
    try:
        for row in done.iter_rows():
            found = json.loads(row["found"])
            if found["error"] and not job.request.keep_going:
                raise DataError(found["error"])
            yield Predicted(**found)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        raise ResourceError(
            f"the prediction on the cluster failed: {in_short(cause if isinstance(cause, Exception) else error)}; the "
            "same command with --resume goes on"
        ) from None


class _Worker:
    """An actor that predicts files with one model."""

    def __init__(
        self,
        choice: ModelChoice,
        outputs: PredictionFolder,
        request: Request,
        done: frozenset[str],
        read_photo: ReadPhoto,
    ) -> None:
        self._model = choice.load()
        self._outputs, self._request, self._done, self._read_photo = outputs, request, done, read_photo

    def __call__(self, batch: Mapping[str, Sequence[str]]) -> Row:
        """Predict the files of a batch; a photo that does not decode is a result, too, so that others go on."""
        files = [
            InputFile(path=Path(path), name=str(name)) for path, name in zip(batch["path"], batch["name"], strict=True)
        ]
        found = predict_shots(
            self._model,
            shots(files, self._done, self._read_photo),
            self._outputs.write,
            batch_size=self._request.batch_size,
            probabilities="probabilities" in self._request.kinds,
            keep_going=True,
        )
        return {"found": [json.dumps({"name": one.name, "shares": one.shares, "error": one.error}) for one in found]}


def _plan(nodes: Sequence[Mapping[str, float]], choice: ModelChoice, num_files: int) -> dict[str, float]:
    """Return how many actors there are, and the CPUs and GPUs of each."""
    wants_gpu = choice.device is None or choice.device.startswith("cuda")
    gpus = sum(int(node.get("GPU", 0)) for node in nodes) if wants_gpu else 0
    if choice.device is not None and wants_gpu and not gpus:
        raise ResourceError(f"--device {choice.device} needs a cluster with GPUs, but it has none; leave --device out")
    tasks = -(-num_files // FILES_PER_TASK)
    if gpus:
        return {"actors": min(gpus, tasks), "cpus": 1, "gpus": 1}
    cpus = min(CPUS_PER_ACTOR, max(int(max(node.get("CPU", 0) for node in nodes)), 1))
    actors = sum(int(node.get("CPU", 0)) // cpus for node in nodes)
    return {"actors": max(min(actors, tasks), 1), "cpus": cpus, "gpus": 0}


def _absolute(choice: ModelChoice) -> ModelChoice:
    """Return the choice with an absolute path, because actors start in another folder."""
    if "://" in choice.location:
        return choice
    return replace(choice, location=str(expanded(choice.location).absolute()))
