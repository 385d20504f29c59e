"""The driver's time and memory in a search of 1,000 trials over 64 slots, and the time until a resume goes on.

Command:        python benchmarks/scale.py [--trials 1000] [--slots 64] [--sampler random] [--scheduler asha]
Time:           3 min on two cores

The driver's own objects run as in a sweep: searcher, sampler, scheduler, retries, supervisor, study.db and the trials'
files on this machine's disk. A loop calls them in the order of Ray Tune; the slots train nothing, and write what
workers write. Ray itself is left out. An epoch report is what the driver does from a worker's message to its verdict.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, TypeVar

import numpy as np
import optuna
from ray.tune.schedulers import TrialScheduler

from segray.config import RunConfig
from segray.objective import MIOU
from segray.records import CheckpointPointer, EpochRecord, SweepInfo
from segray.storage import SweepFiles, open_sweep
from segray.tuning.callbacks.dispatcher import Dispatcher
from segray.tuning.run import supervisor as supervisor_module
from segray.tuning.run.early_stopping import EarlyStopping
from segray.tuning.run.progress import Progress, View
from segray.tuning.run.retries import Retries
from segray.tuning.run.slot import to_result
from segray.tuning.run.snapshot import SweepSnapshot
from segray.tuning.run.study import StudySearch
from segray.tuning.run.supervisor import StateFile, Supervisor
from segray.tuning.samplers import samplers_by_trial
from segray.tuning.schedulers import StoppingSettings, find_scheduler
from segray.tuning.space import CappedSpace

NUM_EPOCHS: Final = 10
T = TypeVar("T")


def space(trial: optuna.Trial) -> None:
    """Draw the values of a trial."""
    trial.suggest_float("optim.lr", 1e-4, 1e-1, log=True)
    trial.suggest_float("optim.weight_decay", 1e-6, 1e-1, log=True)
    trial.suggest_categorical("model.arch", ["Unet", "FPN", "Linknet"])
    trial.suggest_categorical("train.batch_size", [4, 8, 16])


@dataclass
class SlotTrial:
    """Tune's trial in a slot."""

    trial_id: str
    config: Any
    epoch: int = 0
    best: float = 0.0

    def get_error(self) -> Exception | None:
        """Return None: no slot dies here."""
        return None


class Driver:
    """One start of a search.

    Args:
        files: The sweep's files.
        folder: Place of the study's database.
        options: The command line.
    """

    def __init__(self, files: SweepFiles, folder: Path, options: argparse.Namespace) -> None:
        self._files, self._random = files, np.random.default_rng(0)
        earlier = SweepSnapshot(files.folder)
        sampler_of = samplers_by_trial(options.sampler, 0)
        done = sum(trial.is_over() for trial in earlier.trials())
        info = files.info()
        self._searcher = StudySearch(
            files,
            CappedSpace(space, NUM_EPOCHS),
            sampler_of(0),
            [],
            folder / "study.db",
            earlier,
            info.goals,
            max_epochs=NUM_EPOCHS,
            num_trials=options.trials - done,
            sampler_of=sampler_of,
        )
        settings = StoppingSettings(
            max_epochs=NUM_EPOCHS, grace_epochs=None, reduction_factor=3.0, search=self._searcher
        )
        kind = find_scheduler(options.scheduler)
        self._scheduler = EarlyStopping(kind.build(settings), files, earlier, NUM_EPOCHS, info.goals)
        if self._scheduler.pauses:
            self._searcher.follow(self._scheduler)
        self._retries = Retries(self._searcher, files)
        progress = Progress(total=options.trials, slots=options.slots, deadline=None, done=done)
        view = View(progress)
        view.say = lambda line: None  # type: ignore[method-assign]  # noqa: ARG005
        self._supervisor = Supervisor(
            _silent_channel(),
            files,
            RunConfig(),
            progress,
            view,
            StateFile(files, progress),
            self._retries,
            self._scheduler.is_paused,
            kind.verdict,
            Dispatcher({}, print),
        )
        self._num_asked = 0
        self.report_seconds: list[float] = []
        """The driver's time for each epoch report"""
        self.begin_seconds: list[float] = []
        """The driver's time for each trial that was handed out"""

    def begin(self) -> SlotTrial | None:
        """Ask for the next trial of a free slot."""
        self._num_asked += 1
        tune_id = str(self._num_asked)
        proposal, seconds = _timed(lambda: self._retries.suggest(tune_id))
        if not isinstance(proposal, dict):
            return None
        self.begin_seconds.append(seconds)
        trial, files = SlotTrial(tune_id, proposal), self._files.trial(proposal["trial"])
        if last := files.pointer("last"):
            trial.epoch, trial.best = last.record.epoch, last.record.best_score or 0.0
        files.write_values(proposal["values"])
        self._scheduler.on_trial_add(None, trial)
        self._supervisor.on_trial_start(trial)
        return trial

    def train(self, trial: SlotTrial) -> bool:
        """Finish an epoch; return whether the trial keeps its slot."""
        record = self._write_epoch(trial)
        status = "finished" if trial.epoch == NUM_EPOCHS else None
        message = SimpleNamespace(record=record, status=status, reason="", traceback="", seconds=1.0)
        result: Any = to_result(message)  # type: ignore[arg-type]
        go_on, seconds = _timed(lambda: self._report(trial, result))
        self.report_seconds.append(seconds)
        return go_on

    def _report(self, trial: SlotTrial, result: Any) -> bool:
        if result["done"]:
            self._scheduler.on_trial_complete(None, trial, result)
        elif self._scheduler.on_trial_result(None, trial, result) == TrialScheduler.STOP:
            result["done"] = True
        if not result["done"]:
            self._retries.on_trial_result(trial.trial_id, result)
        self._supervisor.on_trial_result(trial, result)
        if result["done"]:
            self._retries.on_trial_complete(trial.trial_id, result)
        self._supervisor.on_step_end()
        return not result["done"]

    def _write_epoch(self, trial: SlotTrial) -> EpochRecord:
        trial.epoch += 1
        score = float(self._random.uniform(0.2, 0.6)) * trial.epoch / NUM_EPOCHS
        trial.best = max(trial.best, score)
        record = EpochRecord(
            epoch=trial.epoch,
            train_loss=1.0,
            scores={MIOU.name: score},
            learning_rate=0.01,
            images_per_second=100.0,
            epoch_seconds=1.0,
            peak_memory_bytes=None,
            best_score=trial.best,
            best_epoch=trial.epoch,
        )
        files = self._files.trial(trial.config["trial"])
        files.write_pointer("last", CheckpointPointer(checkpoint="checkpoints/1-1", record=record, seconds=1.0))
        files.append_record(record)
        return record


def _silent_channel() -> Any:
    """Return a channel that takes every call and says nothing."""
    setattr(supervisor_module, "wait_for", lambda value: value)  # noqa: B010 - the driver's own module imports it
    return SimpleNamespace(
        verdict=SimpleNamespace(remote=lambda *_: None),
        waiting_seconds=SimpleNamespace(remote=dict),
        seconds=SimpleNamespace(remote=lambda _: 1.0),
    )


def _timed(call: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    result = call()
    return result, time.perf_counter() - started


def run(driver: Driver, slots: int, max_reports: float = float("inf")) -> list[tuple[int, float]]:
    """Search to the end; return the number of reports and the resident memory in MB, now and then."""
    running: list[SlotTrial] = []
    memory = [(0, _resident_mb())]
    while len(driver.report_seconds) < max_reports:
        while len(running) < slots and (begun := driver.begin()):
            running.append(begun)
        if not running:
            break
        trial = running.pop(0)
        if driver.train(trial):
            running.append(trial)
        if len(driver.report_seconds) % 500 == 0:
            memory.append((len(driver.report_seconds), _resident_mb()))
    return memory


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _sweep(folder: Path) -> SweepFiles:
    files = open_sweep(folder / "runs" / "scale")
    files.write_info(
        SweepInfo(
            name="scale",
            created_at="",
            command="",
            base=RunConfig().flat(),
            space={},
            max_epochs=NUM_EPOCHS,
            classes=("road", "other"),
            colors=((128, 64, 128), (0, 0, 0)),
            majority_class="road",
            majority_scores={MIOU.name: 0.1},
        )
    )
    return files


def main() -> None:
    """Print the driver's time an epoch report, early and late, the growth of its memory, and the time of a resume."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--scheduler", default="asha")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="segray-scale-") as scratch:
        folder = Path(scratch)
        files = _sweep(folder)
        driver = Driver(files, folder, options)
        memory = run(driver, options.slots)
        resumed, resume_seconds = _timed(lambda: _resume(files, folder, options))
        del resumed
    share = max(len(driver.report_seconds) // 10, 1)
    first, last = (
        1000 * statistics.fmean(part) for part in (driver.report_seconds[:share], driver.report_seconds[-share:])
    )
    found = {
        "trials": options.trials,
        "slots": options.slots,
        "sampler": options.sampler,
        "scheduler": options.scheduler,
        "reports": len(driver.report_seconds),
        "report_ms_first_tenth": first,
        "report_ms_last_tenth": last,
        "report_ms_mean": 1000 * statistics.fmean(driver.report_seconds),
        "begin_ms_last_tenth": 1000 * statistics.median(driver.begin_seconds[-max(options.trials // 10, 1) :]),
        "memory_growth_mb": memory[-1][1] - memory[0][1],
        "resume_seconds": resume_seconds,
        "cpus": os.cpu_count(),
        "machine": platform.processor() or platform.machine(),
    }
    print(f"an epoch report: {first:.1f} ms in the first tenth, {last:.1f} ms in the last (ratio {last / first:.2f})")
    print(f"handing out a trial: {found['begin_ms_last_tenth']:.0f} ms in the last tenth")
    print(f"memory: {found['memory_growth_mb']:.0f} MB more at the end; a resume goes on after {resume_seconds:.1f} s")
    print(json.dumps(found))


def _resume(files: SweepFiles, folder: Path, options: argparse.Namespace) -> SlotTrial | None:
    """Start again with more trials, up to the first one that is handed out."""
    more = argparse.Namespace(**{**vars(options), "trials": options.trials + 1})
    return Driver(files, folder, more).begin()


if __name__ == "__main__":
    main()
