"""Measure the cost of a trial beyond its training: segray's warm worker groups against Ray's documented nested pattern.

Command:        python benchmarks/trial_overhead.py [--trials 24] [--workers 1]
Time:           8 minutes on two cores, nearly all of it the reference

Both sides run the same trials, proposed by Optuna, with two trials at once: the real thing on four images of 64x64,
one step and one validation long, so that next to nothing is trained but all that surrounds training is done: imports,
shards, model, optimiser, loaders, checkpoint, records, sample predictions. Each side is a process of its own, timed
from its start to its end, Ray's start and end included.

The reference is what https://docs.ray.io/en/latest/train/user-guides/hyperparameter-optimization.html documents: a
Tune function trainable that fits a TorchTrainer, whose reports TuneReportCallback passes on. Its driver function asks
for no CPU, as ours does, so that both sides have both cores for their workers.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import optuna

from segray.config import RunConfig
from segray.data.synthetic import write_scenes
from segray.process import end_process


def base_config(data: str) -> RunConfig:
    return RunConfig().with_values(
        {
            "data.dataset": "cityscapes",
            "data.root": data,
            "data.cache_dir": f"{data}/cache",
            "model.encoder_weights": "none",
            "train.epochs": 1,
            "train.batch_size": 4,
        }
    )


def space(trial: optuna.Trial) -> None:
    trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True)
    trial.suggest_float("optim.weight_decay", 1e-6, 1e-2, log=True)


def run_ours(data: str, runs: str, trials: int, workers: int) -> None:
    from segray.cluster.resources import Resources
    from segray.tuning.run.start import run_sweep
    from segray.tuning.sweep import Sweep

    sweep = Sweep(
        name="overhead",
        base=base_config(data),
        space=space,
        trials=trials,
        resources=Resources(workers_per_trial=workers, cpus_per_worker=1 / workers),
        storage=runs,
    )
    files = run_sweep(sweep)
    outcomes = [trial.outcome() for trial in files.trials()]
    assert [outcome.status for outcome in outcomes if outcome] == ["finished"] * trials


def nested_worker(config: dict[str, Any]) -> None:
    """Train the same trial in a worker of the reference, and report it through Ray Train."""
    import ray.train

    from segray.engine.trial import train_trial
    from segray.records import EpochRecord
    from segray.storage import open_sweep
    from segray.trial_log import TrialLog

    class Reporter:
        def hand_over(self, record: EpochRecord, final: bool) -> bool:  # noqa: ARG002
            records.append(record)
            return True

        def interrupted(self) -> bool:
            return False

    records: list[EpochRecord] = []
    files = open_sweep(config["runs"]).trial(config["trial"])
    run_config = base_config(config["data"]).with_values(config["values"])
    train_trial(run_config, files, Reporter(), log=TrialLog(files.folder))
    ray.train.report({"val_miou": records[-1].scores["val_miou"] if records else 0.0})


def run_reference(data: str, runs: str, trials: int, workers: int) -> None:
    import ray
    import ray.train
    from ray import tune
    from ray.train.torch import TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback
    from ray.tune.search.optuna import OptunaSearch

    def driver(values: dict[str, Any]) -> None:
        trial = tune.get_context().get_trial_id()
        TorchTrainer(
            nested_worker,
            train_loop_config={"data": data, "runs": runs, "trial": trial, "values": values},
            scaling_config=ray.train.ScalingConfig(num_workers=workers, resources_per_worker={"CPU": 1 / workers}),
            run_config=ray.train.RunConfig(name=trial, storage_path=runs, callbacks=[TuneReportCallback()]),
        ).fit()

    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
    ray.init(logging_level=logging.ERROR, log_to_driver=False)
    results = tune.Tuner(
        tune.with_resources(driver, {"cpu": 0, "memory": 1}),
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(space, metric="val_miou", mode="max"), num_samples=trials, max_concurrent_trials=2
        ),
        run_config=tune.RunConfig(name="reference", storage_path=runs, verbose=0),
    ).fit()
    assert len(results) == trials
    assert not results.errors, results.errors


def timed(side: str, data: str, arguments: argparse.Namespace) -> float:
    """Seconds a trial of one side in a process of its own."""
    with tempfile.TemporaryDirectory() as runs:
        command = [sys.executable, __file__, "--side", side, "--data", data, "--runs", runs]
        command += ["--trials", str(arguments.trials), "--workers", str(arguments.workers)]
        started = time.perf_counter()
        with (Path(runs) / "output.txt").open("w+") as output:
            ended = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False)
            seconds = time.perf_counter() - started
            if ended.returncode:
                output.seek(0)
                sys.exit(f"{side} failed:\n{output.read()[-4000:]}")
    seconds_per_trial: float = seconds / arguments.trials
    print(f"{side}: {arguments.trials} trials in {seconds:.1f} s, {seconds_per_trial:.2f} s a trial", flush=True)
    return seconds_per_trial


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--workers", type=int, default=1, help="DDP workers a trial, which share its CPU")
    parser.add_argument("--side", choices=["ours", "reference"], help="run one side alone, untimed")
    parser.add_argument("--data", help=argparse.SUPPRESS)
    parser.add_argument("--runs", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        run = run_ours if arguments.side == "ours" else run_reference
        run(arguments.data, arguments.runs, arguments.trials, arguments.workers)
        end_process(0)
    with tempfile.TemporaryDirectory() as data:
        write_scenes("cityscapes", f"{data}/scenes", train=4, val=4, size_px=(64, 64), seed=0)
        # Once untimed: the libraries' files come from the page cache for both sides, and the shards are there for both.
        timed("ours", f"{data}/scenes", argparse.Namespace(trials=2, workers=arguments.workers))
        ours = timed("ours", f"{data}/scenes", arguments)
        reference = timed("reference", f"{data}/scenes", arguments)
    result = {
        "benchmark": "trial_overhead",
        "ours": round(ours, 3),
        "reference": round(reference, 3),
        "ratio": round(reference / ours, 2),
        "unit": "seconds a trial",
        "trials": arguments.trials,
        "workers_per_trial": arguments.workers,
        "cpus": os.cpu_count(),
        "machine": platform.processor() or platform.machine(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
