"""The way of photos through a model: threads decode and encode while the model predicts, with a few photos in memory.

Results come in the order of the photos. At every step only a few photos wait, so memory does not grow with their
number.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from segray.errors import DataError
from segray.inference.prediction import Prediction
from segray.inference.predictor import Predictor
from segray.inference.shots import Shot

MAX_THREADS: Final = 8
"""Most threads that decode, and most that encode; eight decode about 150 photos of 2048x1024 per second."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """The outcome of a photo."""

    name: str
    shares: dict[str, float] = field(default_factory=dict)
    """Class -> share of the pixels, the largest first"""
    error: str = ""
    """Why the photo was not predicted; empty if it was"""


def predict_shots(
    model: Predictor,
    shots: Iterable[Shot],
    write: Callable[[str, Prediction], None],
    *,
    batch_size: int = 1,
    probabilities: bool = False,
    keep_going: bool = False,
) -> Iterator[Predicted]:
    """Predict photos and write the predictions; yield what became of each photo, in their order.

    Args:
        model: The model.
        shots: The photos; taken as they are needed.
        write: Writes a prediction under a photo's name; called in threads.
        batch_size: Most photos that the model gets at once.
        probabilities: Whether predictions hold probabilities.
        keep_going: Whether to pass over photos that do not decode.

    Raises:
        DataError: A photo does not decode, without ``keep_going``; all photos before it have been written.
        StorageError: A prediction cannot be written.
    """
    flow = _Flow(keep_going)
    threads = max(min(os.cpu_count() or 1, MAX_THREADS), 1)
    with (
        ThreadPoolExecutor(threads, thread_name_prefix="decode") as readers,
        ThreadPoolExecutor(threads, thread_name_prefix="encode") as writers,
    ):

        def finish(outcome: Predicted | tuple[str, Prediction]) -> Predicted:
            if isinstance(outcome, Predicted):
                return outcome
            name, prediction = outcome
            write(name, prediction)
            return Predicted(name=name, shares=prediction.shares)

        decoded = in_order(readers, _decode, shots, ahead=threads + batch_size)
        found = model.predict_all(flow.photos(decoded), batch_size=batch_size, probabilities=probabilities)
        yield from in_order(writers, finish, flow.named(found), ahead=threads)
    if flow.error is not None:
        raise flow.error


def in_order(
    threads: ThreadPoolExecutor, function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int
) -> Iterator[Result]:
    """Yield a function's results in the order of the items, while threads work on the next few.

    Args:
        threads: The threads that call the function.
        function: Called with each item.
        items: Taken in the caller's thread, ``ahead`` of the result that is yielded.
        ahead: Most items that wait or are worked on beside the one whose result is next.
    """
    pending: deque[Future[Result]] = deque()
    for item in items:
        pending.append(threads.submit(function, item))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


class _Flow:
    """The names of the photos that are on their way, in their order, with those that do not decode among them."""

    def __init__(self, keep_going: bool) -> None:
        self.error: DataError | None = None
        """The photo at which the flow ended"""
        self._keep_going = keep_going
        self._waiting: deque[str | Predicted] = deque()

    def photos(self, decoded: Iterable[tuple[str, NDArray[np.uint8] | DataError]]) -> Iterator[NDArray[np.uint8]]:
        """Yield the photos that decode."""
        for name, photo in decoded:
            if not isinstance(photo, DataError):
                self._waiting.append(name)
                yield photo
            elif self._keep_going:
                self._waiting.append(Predicted(name=name, error=str(photo)))
            else:
                # The photos before this one are still predicted: they wait in a batch, or with the writers.
                self.error = photo
                return

    def named(self, predictions: Iterable[Prediction]) -> Iterator[Predicted | tuple[str, Prediction]]:
        """Yield each prediction with its photo's name, and what became of the photos that do not decode."""
        for prediction in predictions:
            yield from self._failures()
            name = self._waiting.popleft()
            assert isinstance(name, str)
            yield name, prediction
        yield from self._failures()

    def _failures(self) -> Iterator[Predicted]:
        while self._waiting and isinstance(failure := self._waiting[0], Predicted):
            self._waiting.popleft()
            yield failure


def _decode(shot: Shot) -> tuple[str, NDArray[np.uint8] | DataError]:
    try:
        return shot.name, shot.load()
    except DataError as error:
        return shot.name, error
