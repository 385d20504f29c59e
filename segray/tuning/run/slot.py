"""The slot: Ray Tune takes it for a trial's process, but it stands in front of a warm worker group."""

from __future__ import annotations

import math

from ray import tune

from segray.cluster.group import WarmGroup
from segray.cluster.handle import ChannelHandle
from segray.cluster.limits import Limits
from segray.cluster.messages import Message, Task
from segray.cluster.resources import Plan
from segray.config import RunConfig
from segray.errors import ConfigError, OutageError, WriteError
from segray.goals import Goals
from segray.storage import SweepFiles
from segray.trial_log import TrialLog
from segray.tuning.objective import TUNE_METRIC
from segray.tuning.run.exchange import News, Proposal

CLOSE_SECONDS = 5.0
"""Time for a group to end; Tune kills an actor that takes 10 s to stop."""


class Slot(tune.Trainable):
    """A Trainable that runs one trial after another on one worker group (`reuse_actors=True`)."""

    def setup(
        self,
        config: Proposal,
        channel: ChannelHandle,
        sweep: SweepFiles,
        plan: Plan,
        limits: Limits,
        base: RunConfig,
        goals: Goals,
    ) -> None:
        """Start the group; Tune calls it once per slot."""
        self._channel, self._sweep, self._plan, self._limits = channel, sweep, plan, limits
        self._base, self._goals = base, goals
        self._group = self._new_group()
        self.reset_config(config)

    def reset_config(self, new_config: Proposal) -> bool:
        """Take the next trial; the group stays as it is."""
        self._trial_id, self._values = new_config["trial"], new_config["values"]
        # The first step submits the trial: Tune keeps a slot only if this method returns True, and quickly.
        self._submitted = False
        return True

    def step(self) -> News:
        """Wait for the trial's next epoch, or for its end."""
        try:
            return to_result(self._next_message())
        except ConfigError as error:
            return to_result(Message(self._trial_id, status="failed", reason=str(error)))
        # No fault of the trial: a full disk once failed each trial that met it, and a resume left these as they were.
        except (WriteError, OutageError) as error:
            return to_result(Message(self._trial_id, status="no_storage", reason=str(error)))

    def _next_message(self) -> Message:
        if not self._submitted:
            self._submit(self._base.with_values(self._values))
            self._submitted = True
        while (message := self._group.next_message()).log:
            TrialLog(self._sweep.trial(self._trial_id).folder).write(message.log)
        return message

    def _new_group(self) -> WarmGroup:
        return WarmGroup(self._channel, self._sweep, self._plan, self._limits)

    def _submit(self, config: RunConfig) -> None:
        if not self._group.is_alive:
            self._group = self._new_group()
        files = self._sweep.trial(self._trial_id)
        last = files.pointer("last")
        files.write_config(config)
        files.write_values(self._values)
        # The next attempt voids whatever workers of an earlier one still send or wait for.
        attempt, seconds = (last.record.attempt + 1, last.seconds) if last else (1, 0.0)
        self._group.submit(Task(self._trial_id, config.model_dump(mode="json"), attempt, seconds, self._goals))

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Do nothing: a trial's id says where its checkpoint lies."""

    def load_checkpoint(self, checkpoint: object) -> None:
        """Do nothing: the workers find the trial's last checkpoint themselves."""

    def cleanup(self) -> None:
        """Let the group's processes end by themselves before Tune kills this one."""
        self._group.close(CLOSE_SECONDS)


def to_result(message: Message) -> News:
    """Return a message as a Tune result; a missing score is NaN."""
    record = message.record
    best = record.best_score if record else None
    return {
        TUNE_METRIC: math.nan if best is None else best,
        # Tune's own training_iteration restarts when a trial goes on in another slot.
        "epoch": record.epoch if record else 0,
        "record": record,
        "status": message.status,
        "reason": message.reason,
        "traceback": message.traceback,
        "seconds": message.seconds,
        "done": message.status is not None,
    }
