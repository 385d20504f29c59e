"""Weights & Biases: one run for each trial, in a group of the sweep's name."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING

from segray.errors import ConfigError
from segray.tuning.callbacks.kind import Callback, check_library
from segray.tuning.callbacks.metrics import epoch_metrics
from segray.values import Values

if TYPE_CHECKING:
    from wandb import Run

    from segray.records import EpochRecord, Outcome, SweepInfo, SweepStatus
    from segray.storage import SweepFiles

INIT_SECONDS = 30.0
"""Longest wait for the server when a run begins."""
FINISH_SECONDS = 20.0
"""Longest wait for the server when a run ends; what it has not taken by then stays in W&B's folder."""


class WandB(Callback):
    """Config, metrics by epoch, and summary of every trial.

    W&B's own environment variables hold, such as WANDB_MODE=offline, WANDB_PROJECT (else the sweep's name) and
    WANDB_DIR (else the sweep's folder, on a local path).
    """

    def check(self, files: SweepFiles) -> None:  # noqa: ARG002 - Callback's signature
        """Refuse a start without W&B, or without a login."""
        check_library("wandb", "wandb")
        import wandb

        mode = wandb.setup(wandb.Settings(silent=True)).settings.mode
        if mode not in ("offline", "disabled") and not wandb.login(prompt=False, verify=False):
            raise ConfigError(
                "--callback wandb needs a login, but there is none: run `wandb login`, set WANDB_API_KEY, or set "
                "WANDB_MODE=offline and upload later with `wandb sync`"
            )

    def sweep_begins(self, info: SweepInfo, files: SweepFiles) -> None:
        """Keep what all runs share."""
        self._objective = info.objective
        self._runs: dict[str, Run] = {}
        # Another sweep may have the same name, in another storage.
        self._prefix = hashlib.sha256(f"{info.name} {info.created_at}".encode()).hexdigest()[:8]
        # W&B refuses these characters in the name of a project, and more than 128 of any.
        name = re.sub(r"[/\\#?%:]", "-", info.name)
        self._project, self._group = os.environ.get("WANDB_PROJECT") or name[:128], info.name[:128]
        self._dir = files.folder.path if files.folder.is_local and "WANDB_DIR" not in os.environ else None

    def trial_begins(self, trial_id: str, config: Values, values: Values) -> None:
        """Begin or continue the trial's run: its id follows from the sweep and the trial."""
        if trial_id in self._runs:
            return
        import wandb

        self._runs[trial_id] = wandb.init(
            project=self._project,
            group=self._group,
            dir=self._dir,
            id=f"{self._prefix}-{trial_id}",
            name=trial_id,
            config=dict(config),
            notes=f"drawn: {', '.join(values) or 'nothing'}",
            resume="allow",
            # Trials run side by side in one process.
            reinit="create_new",
            settings=wandb.Settings(
                silent=True,
                # The driver's output and load are no trial's, and sweep.json has the revision.
                console="off",
                disable_git=True,
                save_code=False,
                x_disable_stats=True,
                init_timeout=INIT_SECONDS,
                finish_timeout=FINISH_SECONDS,
            ),
        )

    def epoch_done(self, trial_id: str, record: EpochRecord) -> None:
        """Log the epoch's metrics."""
        self._runs[trial_id].log({**epoch_metrics(record, self._objective), "epoch": record.epoch}, step=record.epoch)

    def trial_ended(self, trial_id: str, outcome: Outcome) -> None:
        """Write the summary, and end the trial's run."""
        run = self._runs.pop(trial_id)
        run.summary.update(
            {
                "outcome": outcome.status,
                "reason": outcome.note,
                "epochs": outcome.epochs,
                self._objective.column: outcome.best_score,
                "best_epoch": outcome.best_epoch,
            }
        )
        run.finish(exit_code=0 if outcome.status in ("finished", "stopped") else 1)

    def sweep_ends(self, status: SweepStatus) -> None:  # noqa: ARG002 - Callback's signature
        """End the runs of trials that a resume continues, and W&B's own process."""
        import wandb

        while self._runs:
            self._runs.popitem()[1].finish(exit_code=1)
        wandb.teardown()
