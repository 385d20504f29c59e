"""The data of a trial, prepared on all its ranks, with what each of them says in the trial's log."""

from __future__ import annotations

import socket

from segray.activity import doing
from segray.config import DataConfig
from segray.data.preparation import PreparedData, prepare
from segray.data.splits.split_record import check_splits
from segray.engine.distributed import gather_over_ranks
from segray.records import SplitRecord
from segray.trial_log import TrialLog


def trial_data(config: DataConfig, splits: SplitRecord | None, log: TrialLog) -> PreparedData:
    """Prepare the data; log the messages of rank 0 at once, then those that only other ranks had, with their host.

    Args:
        config: The data section of the trial's run.
        splits: The images that the sweep started with, which this machine must have too; None skips the check.
        log: The trial's log.

    Raises:
        ConfigError: The config cannot work.
        DataError: The data set cannot be read, or differs from the sweep's.
    """
    doing("listing the data")
    if splits is not None:
        check_splits(splits, config)
    said: list[str] = []

    def announce(text: str) -> None:
        said.append(text)
        log.write(text)

    data = prepare(config, announce)
    for host, lines in gather_over_ranks((socket.gethostname(), said))[1:]:
        new = [line for line in lines if line not in said]
        said += new
        for line in new:
            log.write(f"{host}: {line}")
    return data
