"""MLflow: one run for the sweep, and one below it for each trial."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from segray.tuning.callbacks.kind import Callback, check_library
from segray.tuning.callbacks.metrics import epoch_metrics
from segray.values import Values

if TYPE_CHECKING:
    from mlflow.entities import Run

    from segray.records import EpochRecord, Outcome, SweepInfo, SweepStatus
    from segray.storage import SweepFiles

PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
"""Environment variables of MLflow, which else waits minutes for a server that is gone."""

MAX_PARAMS = 100
"""Most parameters in one request."""

SWEEP_RUN = ""
"""Value of the trial's tag in the sweep's own run."""


class MLflow(Callback):
    """Parameters, metrics by epoch, status and tags of every trial, and the report.

    MLFLOW_TRACKING_URI says where, and MLFLOW_EXPERIMENT_NAME under which name instead of the sweep's.
    """

    def check(self, files: SweepFiles) -> None:  # noqa: ARG002 - Callback's signature
        """Refuse a start without MLflow."""
        check_library("mlflow", "mlflow")

    def sweep_begins(self, info: SweepInfo, files: SweepFiles) -> None:
        """Find the runs of earlier starts, and begin or continue the sweep's own run."""
        for name, value in PATIENCE.items():
            # A person's own settings hold.
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        self._objective, self._files = info.objective, files
        self._client = MlflowClient()
        self._experiment = self._find_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", info.name))
        # Another sweep may have the same name, in another storage.
        self._tags = {"segray.sweep": info.name, "segray.created_at": info.created_at}
        self._earlier = self._find_runs()
        self._open: dict[str, str] = {}
        settings = {"recipe": info.recipe, "sampler": info.sampler, "scheduler": info.scheduler, "seed": info.seed}
        self._begin(SWEEP_RUN, info.name, settings | {"max_epochs": info.max_epochs}, {})

    def trial_begins(self, trial_id: str, config: Values, values: Values) -> None:
        """Begin or continue the trial's run."""
        parent = {"mlflow.parentRunId": self._open[SWEEP_RUN], "segray.drawn": ", ".join(values)}
        self._begin(trial_id, trial_id, config, parent)

    def epoch_done(self, trial_id: str, record: EpochRecord) -> None:
        """Log the epoch's metrics."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        values = epoch_metrics(record, self._objective)
        metrics = [Metric(_metric_name(name), value, now, record.epoch) for name, value in values.items()]
        self._client.log_batch(self._open[trial_id], metrics=metrics)

    def trial_ended(self, trial_id: str, outcome: Outcome) -> None:
        """Log the outcome, and end the trial's run."""
        run_id = self._open.pop(trial_id)
        self._client.set_tag(run_id, "segray.outcome", outcome.status)
        if outcome.note:
            self._client.set_tag(run_id, "segray.reason", outcome.note)
        self._client.set_terminated(run_id, "FINISHED" if outcome.status in ("finished", "stopped") else "FAILED")

    def sweep_ends(self, status: SweepStatus) -> None:
        """End the sweep's run, and those of trials that a resume continues; keep the report in the sweep's run."""
        sweep_run = self._open[SWEEP_RUN]
        while self._open:
            trial_id, run_id = self._open.popitem()
            is_done = trial_id == SWEEP_RUN and status == "finished"
            self._client.set_terminated(run_id, "FINISHED" if is_done else "KILLED")
        if self._files.folder.is_local:
            self._log_report(sweep_run)

    def _begin(self, trial_id: str, name: str, params: Mapping[str, object], tags: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        run = self._earlier.get(trial_id)
        if run is None:
            tags = {**self._tags, "segray.trial": trial_id, **tags}
            run = self._client.create_run(self._experiment, run_name=name, tags=tags)
            # A trial that loses its slot begins again within this start, and goes on in the same run.
            self._earlier[trial_id] = run
        else:
            self._client.update_run(run.info.run_id, status="RUNNING")
        self._open[trial_id] = run.info.run_id
        # MLflow refuses a second value; a resume may move the data or use another number of loader workers.
        logged = run.data.params
        left = [Param(key, str(value)) for key, value in params.items() if key not in logged]
        for start in range(0, len(left), MAX_PARAMS):
            self._client.log_batch(run.info.run_id, params=left[start : start + MAX_PARAMS])
        logged.update({param.key: param.value for param in left})

    def _find_experiment(self, name: str) -> str:
        experiment = self._client.get_experiment_by_name(name)
        return str(experiment.experiment_id if experiment else self._client.create_experiment(name))

    def _find_runs(self) -> dict[str, Run]:
        """Return the sweep's runs by trial id."""
        # A name may hold quotes, which a filter cannot.
        wanted = f"tags.`segray.created_at` = '{self._tags['segray.created_at']}'"
        found: dict[str, Run] = {}
        token = None
        while True:
            page = self._client.search_runs([self._experiment], wanted, page_token=token)
            own = [run for run in page if run.data.tags["segray.sweep"] == self._tags["segray.sweep"]]
            found |= {run.data.tags["segray.trial"]: run for run in own}
            token = page.token
            if not token:
                return found

    def _log_report(self, run_id: str) -> None:
        # It brings pandas and plotly, which no other event needs.
        from dashboards.report import write_report

        with tempfile.TemporaryDirectory(prefix="segray-") as scratch:
            write_report(self._files.folder.path, f"{scratch}/report.html")
            self._client.log_artifact(run_id, f"{scratch}/report.html")


def _metric_name(name: str) -> str:
    """Return a name without the characters that MLflow refuses, which a class of one's own may have."""
    return re.sub(r"[^\w. /:-]", "_", name)
