"""One trial, from its config to its files: data, state, fit(), checkpoints. Nothing here imports Ray."""

from __future__ import annotations

from typing import Final, Protocol

import torch
import torch.distributed as dist

from segray.activity import doing, waiting_for_others
from segray.config import RunConfig
from segray.engine.determinism import deterministic
from segray.engine.distributed import from_first_rank, rank, world_size
from segray.engine.keeper import CheckpointKeeper
from segray.engine.loop import Hold, fit
from segray.engine.properties import check_constraints, measured_properties, with_properties
from segray.engine.resume import reached_checkpoints, resumed_state
from segray.engine.run_parts import build_step, build_train_loader, build_validation
from segray.engine.state import build_state, is_finished
from segray.engine.trial_data import trial_data
from segray.goals import DEFAULT_GOALS, Goals
from segray.records import EpochRecord, SplitRecord
from segray.trial_files import TrialFiles
from segray.trial_log import TrialLog, epoch_line

CPU: Final = torch.device("cpu")


class Reporter(Protocol):
    """The receiver of a trial's epoch records, which may also end the trial."""

    def hand_over(self, record: EpochRecord, final: bool) -> bool:
        """Take a record (called on rank 0); return whether to continue training."""

    def interrupted(self) -> bool:
        """Return whether to stop before the next batch (called on every rank)."""


def train_trial(
    config: RunConfig,
    files: TrialFiles,
    reporter: Reporter,
    *,
    log: TrialLog,
    device: torch.device = CPU,
    attempt: int = 1,
    seconds_before: float = 0.0,
    micro_batches: int = 1,
    num_loader_workers: int = 0,
    splits: SplitRecord | None = None,
    goals: Goals = DEFAULT_GOALS,
    hold: Hold | None = None,
) -> None:
    """Train one trial from its last checkpoint, or from the start, until it ends or the reporter ends it.

    Every rank of torch.distributed calls this with the same arguments; rank 0 writes the files.

    Args:
        config: The run; ``train.batch_size`` counts all ranks together.
        files: The trial's folder: records and checkpoints are written there, and an earlier checkpoint is read there.
        reporter: Receives every epoch's record after the epoch's checkpoint is written.
        log: Gets one line per epoch, and the messages of data preparation.
        device: The device to train on.
        attempt: Number of this start of the trial, from 1.
        seconds_before: Time spent on the trial before this start; raised to the time that its last checkpoint records.
        micro_batches: Parts that a training batch is split into; validation batches shrink by the same factor.
        num_loader_workers: Number of loader processes if ``data.num_loader_workers`` is not set.
        splits: The images that the sweep started with, which this machine must have too; None skips the check.
        goals: The score by which an epoch is the best one, the properties to measure, and their bounds.
        hold: Lets the trial wait between batches; its time does not count.

    Raises:
        ConfigError: The config cannot work.
        DataError: The data set cannot be read, or differs from the sweep's.
        Interrupted: The reporter ended the trial between two batches.
        Diverged: The training loss became NaN or infinite.
        Infeasible: The network breaks a constraint.
    """
    keeper = CheckpointKeeper(files, seconds_before)
    reached = from_first_rank(lambda: reached_checkpoints(files, log))
    if reached and is_finished(config.train, reached[0].record.epoch, reached[0].record.best_epoch):
        # An earlier attempt finished the trial, but died before it handed over the last record.
        if rank() == 0:
            reporter.hand_over(reached[0].record, final=True)
        return
    data = trial_data(config.data, splits, log)
    workers = num_loader_workers if config.data.num_loader_workers is None else config.data.num_loader_workers
    validation = build_validation(
        config, data, device, reporter.interrupted, hold, micro_batches=micro_batches, num_workers=workers
    )
    loader = build_train_loader(config, data, device, workers)
    doing("building the model")
    state, last = resumed_state(reached, files, log, lambda: build_state(config, data.label_space, len(loader), device))
    step = build_step(config, data, device, micro_batches)
    if last is not None:
        keeper.count_from(last.seconds)
        attempt = max(attempt, last.record.attempt + 1)
    log.write(f"attempt {attempt} on {device.type}, {world_size()} workers, from epoch {state.epoch}")
    properties = measured_properties(state, config, goals, data, last)
    with deterministic(config.train.deterministic):
        for trained in fit(
            state,
            step,
            loader,
            validation,
            objective=goals.main,
            attempt=attempt,
            interrupted=reporter.interrupted,
            hold=hold,
        ):
            record = with_properties(trained, goals, properties)
            check_constraints(goals, record.scores)
            if rank() == 0:
                doing("writing a checkpoint")
                keeper.keep(state, record, validation.samples, data.scored_space)
                log.write(epoch_line(record, config.train.epochs, goals.main))
            if not _hand_over(reporter, record, state.is_finished, device):
                return


def _hand_over(reporter: Reporter, record: EpochRecord, final: bool, device: torch.device) -> bool:
    """Hand a record over on rank 0; return on every rank whether to continue training."""
    go_on = True
    if rank() == 0:
        with waiting_for_others():
            go_on = reporter.hand_over(record, final)
    answer = torch.tensor(int(go_on), device=device)
    if world_size() > 1:
        with waiting_for_others():
            dist.broadcast(answer, src=0)
    return bool(answer.item())
