"""The type of a handle to the channel actor, so that calls over Ray are checked like calls of the channel itself."""

from __future__ import annotations

from typing import ParamSpec, Protocol, TypeVar, cast

import ray

from segray.cluster.messages import Message, Task

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class Pending(Protocol[Result_co]):
    """A result that Ray will deliver: an ``ObjectRef``."""

    def future(self) -> object:
        """Return a concurrent.futures.Future of the result."""


class RemoteMethod(Protocol[Parameters, Result_co]):
    """A method of the channel, called over Ray."""

    def remote(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Pending[Result_co]:
        """Call the method; return at once."""


class ChannelHandle(Protocol):
    """A handle to the actor of a ``Channel``, which documents the methods."""

    submit: RemoteMethod[[str, Task], None]
    next_message: RemoteMethod[[str], Message]
    next_run: RemoteMethod[[str, str, str], bool]
    finish: RemoteMethod[[str], None]
    verdict: RemoteMethod[[str, bool], None]
    waiting_seconds: RemoteMethod[[], dict[str, float]]
    seconds: RemoteMethod[[str], float]
    stop: RemoteMethod[[str, str], None]
    hold: RemoteMethod[[bool], None]
    interrupt: RemoteMethod[[], None]
    starting: RemoteMethod[[str], int | None]
    stopping: RemoteMethod[[str, int, int | None, str, str], None]
    store_set: RemoteMethod[[str, int, str, bytes], None]
    store_add: RemoteMethod[[str, int, str, int], int]
    store_has: RemoteMethod[[str, int, list[str]], bool]
    store_get: RemoteMethod[[str, int, list[str]], list[bytes]]
    join: RemoteMethod[[str], tuple[int, int]]
    next_task: RemoteMethod[[str, int, int], tuple[int, Task] | None]
    hand_over: RemoteMethod[[str, int, Message], bool]
    note_failure: RemoteMethod[[str, int, str, str], None]
    should_stop: RemoteMethod[[str, int], str]
    hold_begins: RemoteMethod[[str, int], None]
    hold_ends: RemoteMethod[[str, int], None]


def wait_for(pending: Pending[Result], timeout_seconds: float | None = None) -> Result:
    """Wait for the result of a remote call and return it.

    Raises:
        GetTimeoutError: The time is over first.
    """
    return cast(Result, ray.get(pending, timeout=timeout_seconds))
