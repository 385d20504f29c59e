"""Replay tables of real trainings through the samplers and schedulers of a sweep: who finds a good config soonest?

Command:        python benchmarks/search_quality.py [--table FILE ...] [--strategy NAME ...] [--seeds 50] [--slots 2]
Time:           about two minutes a strategy and table on two cores; "gp" takes longer

A table is a CSV file with a column for each searched key, then seed, epoch, score and seconds: numbers are ordered,
texts are choices, and a key that only some configs use is empty in the rows of the others. The project's own tables
are in benchmarks/tables; search_tables.py made them. A small driver stands in for Ray Tune: it has slots, and an epoch
takes the seconds that it took when the table was made. All else is what a sweep uses: the searcher over an Optuna
study, the sampler, the rule of the scheduler. A config has several trainings; each search draws one of them.

The goal of a table is what random search reaches with 50 trials that are trained to their ends, the median over its
seeds. For each strategy the table that is printed says:

  goal      share of the searches that reached the goal within the epochs that random search has
  epochs    median of the epochs until then, over all trials; a dash if half of the searches never reached it
  seconds   the same in the seconds of the table
  ratio     median ratio of the epochs to those of random search with the same seed, with its 95 % bootstrap interval;
            a search without the goal counts with all epochs
  regret    points of score that are missing to the best one of the table, after 96, 144 and 200 epochs, and at the end
  lost      share of the good trials (whose training ends in the table's top tenth) that were stopped or left paused

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import optuna
import torch
from rich.console import Console
from rich.table import Table
from search_strategies import STRATEGIES, Strategy
from training_table import Curve, TrainingTable, read_table

TABLES: Final = Path(__file__).parent / "tables"
NUM_GOAL_TRIALS: Final = 50
TOP_SHARE: Final = 0.1
BUDGETS: Final = (96, 144, 200)
RANDOM: Final = "random"

T = TypeVar("T")
Figures = dict[str, Any]
"""Name of a figure -> value, as in the JSON that is printed"""


@dataclass
class Search:
    """The course of a search of a table, epoch by epoch."""

    seconds: list[float] = field(default_factory=list)
    """When each epoch ended"""
    best: list[float] = field(default_factory=list)
    """Best score after each epoch, over all trials"""
    num_trials: int = 0
    num_good: int = 0
    """Trials that began, whose training ends in the table's top tenth"""
    num_lost: int = 0
    """Those of them that were not trained to their end, though they left their slot"""
    slowest_decision: float = 0.0
    """Seconds of the longest call of the strategy"""

    def epochs_to(self, goal: float) -> float:
        """Return the epochs until a score was reached; infinite if it never was."""
        return next((count for count, best in enumerate(self.best, 1) if best >= goal), math.inf)

    def seconds_to(self, goal: float) -> float:
        """Return the seconds until a score was reached; infinite if it never was."""
        return next((end for end, best in zip(self.seconds, self.best, strict=True) if best >= goal), math.inf)

    def best_after(self, epochs: int) -> float:
        """Return the best score within a number of epochs."""
        return self.best[min(epochs, len(self.best)) - 1]


class Replay:
    """The driver: slots that train a table's configs, and the strategy that fills them.

    Args:
        table: The trainings.
        strategy: The search.
        seed: Chooses one training of each config.
    """

    def __init__(self, table: TrainingTable, strategy: Strategy, seed: int) -> None:
        draws = np.random.default_rng(seed).integers(1 << 30, size=len(table.curves))
        self._curves: list[Curve] = [
            curves[draw % len(curves)] for curves, draw in zip(table.curves, draws, strict=True)
        ]
        self._table, self._strategy = table, strategy
        self._running: list[tuple[float, int, str]] = []
        """Heap of the ends of the epochs that are being trained, the order in which they began, and their trials"""
        self._config: dict[str, int] = {}
        self._epochs: dict[str, int] = {}
        self._order = 0
        self._search = Search()

    def run(self, slots: int, max_epochs: int, max_trials: int | None = None) -> Search:
        """Search until so many epochs are trained; after ``max_trials`` trials no new one begins."""
        found, now = self._search, 0.0
        self._fill(now, slots, max_trials)
        while self._running and len(found.best) < max_epochs:
            now, _, trial = heapq.heappop(self._running)
            curve = self._curve(trial)
            epoch = self._epochs[trial] = self._epochs[trial] + 1
            score, seconds = curve.scores[epoch - 1], curve.seconds[epoch - 1]
            found.seconds.append(now)
            found.best.append(max(score, found.best[-1] if found.best else -math.inf))
            end = self._end(trial, epoch)
            if self._timed(lambda: self._strategy.epoch_done(trial, epoch, score, seconds, end)):  # noqa: B023
                self._train(trial, now)
            self._fill(now, slots, max_trials)
        self._count()
        return found

    def _curve(self, trial: str) -> Curve:
        return self._curves[self._config[trial]]

    def _end(self, trial: str, epoch: int) -> str | None:
        if epoch < len(self._curve(trial).scores):
            return None
        return "finished" if epoch == self._table.num_epochs(self._config[trial]) else "diverged"

    def _fill(self, now: float, slots: int, max_trials: int | None) -> None:
        while len(self._running) < slots and (max_trials is None or len(self._config) < max_trials):
            begun = self._timed(self._strategy.next_trial)
            if begun is None:
                return
            self._config[begun.trial] = begun.config
            self._epochs.setdefault(begun.trial, 0)
            self._train(begun.trial, now)

    def _train(self, trial: str, now: float) -> None:
        self._order += 1
        heapq.heappush(self._running, (now + self._curve(trial).seconds[self._epochs[trial]], self._order, trial))

    def _timed(self, call: Callable[[], T]) -> T:
        started = time.perf_counter()
        result = call()
        self._search.slowest_decision = max(self._search.slowest_decision, time.perf_counter() - started)
        return result

    def _count(self) -> None:
        top = float(np.quantile(self._table.finals(), 1 - TOP_SHARE))
        in_slots = {trial for _, _, trial in self._running}
        good = [t for t in self._config if t not in in_slots and max(self._curve(t).scores) >= top]
        found = self._search
        found.num_trials, found.num_good = len(self._config), len(good)
        found.num_lost = sum(self._epochs[trial] < len(self._curve(trial).scores) for trial in good)


def search(job: tuple[TrainingTable, str, int, int]) -> tuple[str, Search]:
    """Run one search, in a process of its own."""
    table, name, seed, slots = job
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    replay = Replay(table, STRATEGIES[name](table, seed), seed)
    max_trials = NUM_GOAL_TRIALS if name == RANDOM else None
    return name, replay.run(slots, NUM_GOAL_TRIALS * table.max_epochs, max_trials)


def judge(table: TrainingTable, found: dict[str, list[Search]]) -> dict[str, Figures]:
    """Return the figures of each strategy."""
    goal = statistics.median(one.best[-1] for one in found[RANDOM])
    budget = NUM_GOAL_TRIALS * table.max_epochs
    reference = np.array([min(one.epochs_to(goal), budget) for one in found[RANDOM]])
    return {name: _figures(searches, goal, budget, reference, table) for name, searches in found.items()}


def _figures(
    searches: Sequence[Search], goal: float, budget: int, reference: np.ndarray, table: TrainingTable
) -> Figures:
    epochs = np.array([one.epochs_to(goal) for one in searches])
    ratios = np.minimum(epochs, budget) / reference
    random = np.random.default_rng(0)
    medians = [float(np.median(random.choice(ratios, len(ratios)))) for _ in range(2000)]
    best, good = float(table.finals().max()), sum(one.num_good for one in searches)
    regret = {str(count): statistics.mean(best - one.best_after(count) for one in searches) for count in BUDGETS}
    return {
        "goal": goal,
        "reached": float(np.isfinite(epochs).mean()),
        "epochs": _finite(statistics.median(epochs)),
        "seconds": _finite(statistics.median(one.seconds_to(goal) for one in searches)),
        "ratio": float(np.median(ratios)),
        "ratio_interval": [float(np.quantile(medians, q)) for q in (0.025, 0.975)],
        "regret": {**regret, "end": statistics.mean(best - one.best[-1] for one in searches)},
        "lost": sum(one.num_lost for one in searches) / good if good else None,
        "trials": statistics.mean(one.num_trials for one in searches),
        "slowest_decision": max(one.slowest_decision for one in searches),
    }


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


def show(table: TrainingTable, figures: dict[str, Figures]) -> None:
    """Print the figures of a table."""
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("strategy", "goal", "epochs", "seconds", "ratio", "regret, points", "lost", "trials", "slowest"):
        shown.add_column(name, justify="left" if name == "strategy" else "right", no_wrap=True)
    for name, one in figures.items():
        low, high = one["ratio_interval"]
        shown.add_row(
            name,
            f"{one['reached']:.0%}",
            "-" if one["epochs"] is None else f"{one['epochs']:.0f}",
            "-" if one["seconds"] is None else f"{one['seconds']:.0f}",
            f"{one['ratio']:.2f} ({low:.2f} to {high:.2f})",
            " / ".join(f"{100 * regret:.1f}" for regret in one["regret"].values()),
            "-" if one["lost"] is None else f"{one['lost']:.0%}",
            f"{one['trials']:.0f}",
            f"{one['slowest_decision']:.2f} s",
        )
    goal = next(iter(figures.values()))["goal"]
    print(f"\n{table.name}: {len(table.configs)} configs, best {table.finals().max():.4f}, goal {goal:.4f}")
    Console(highlight=False, width=160).print(shown)


def main() -> None:
    """Search the tables, and print who finds what."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--table", type=Path, action="append", help="CSV file; may be repeated (default: the project's)"
    )
    parser.add_argument("--strategy", action="append", choices=STRATEGIES, help="may be repeated (default: all)")
    parser.add_argument("--seeds", type=int, default=50, help="searches of each strategy")
    parser.add_argument("--slots", type=int, default=2, help="trials at once")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    names = list(dict.fromkeys([RANDOM, *(options.strategy or STRATEGIES)]))
    result: dict[str, object] = {}
    tables = [read_table(path) for path in options.table or sorted(TABLES.glob("*.csv"))]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for table in tables:
            jobs = [(table, name, seed, options.slots) for name in names for seed in range(options.seeds)]
            found: dict[str, list[Search]] = {name: [] for name in names}
            # In order, so that one seed is one place in every list.
            for name, one in pool.imap(search, jobs):
                found[name].append(one)
            figures = judge(table, found)
            show(table, figures)
            result[table.name] = figures
    machine = {"cpus": os.cpu_count(), "machine": platform.processor() or platform.machine()}
    print(json.dumps({"seeds": options.seeds, "slots": options.slots, "tables": result, **machine}))


if __name__ == "__main__":
    main()
