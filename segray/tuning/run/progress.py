"""The view of a running sweep: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Literal

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from segray import text
from segray.clock import working_time
from segray.objective import MIOU, Objective
from segray.output import lasting_output
from segray.results.searched import short_labels
from segray.shown import cell, printable
from segray.values import Values


@dataclass
class RunningTrial:
    """A trial that has a slot."""

    id: str
    values: Values
    epochs: int
    epoch: int = 0
    best: float | None = None


@dataclass
class Progress:
    """The numbers of a running search, or of its repeats; changed by the supervisor, drawn by a view."""

    total: int | None
    """Trials to run, including those of earlier starts; None if only time is limited"""
    slots: int
    deadline: float | None
    """working_time() at which the time budget is spent"""
    objective: Objective = MIOU
    trains_on_val: bool = False
    """Whether the validation images train too, so that their scores choose nothing"""
    done: int = 0
    running: dict[str, RunningTrial] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    """Trials that have left their slots and may go on later"""
    best: float | None = None
    best_id: str = ""
    trial_seconds: list[float] = field(default_factory=list)
    """Duration of the trials that ended in this start"""
    started: float = field(default_factory=time.monotonic)
    held_since: float | None = None
    """Unix time since which all trials wait, because a person paused the sweep"""
    what: Literal["trial", "repeat"] = "trial"
    """The word for what runs; repeats are not compared, so the headline names no best one"""

    def seconds_left(self) -> float | None:
        """Estimate the time left from the mean trial so far and the time budget; None before there is an estimate.

        Running trials count with the epochs they have left, and the end cannot come before the longest of them.
        """
        left = []
        if self.deadline is not None:
            left.append(max(0.0, self.deadline - working_time()))
        if self.total is not None and self.trial_seconds:
            mean = sum(self.trial_seconds) / len(self.trial_seconds)
            parts = [1 - trial.epoch / trial.epochs for trial in self.running.values()]
            waiting = self.total - self.done - len(parts)
            left.append(mean * max((waiting + sum(parts)) / self.slots, *parts, 0.0))
        return min(left) if left else None

    @property
    def best_label(self) -> str:
        """The score of a trial in a line, such as ``best val mIoU``."""
        return self.objective.best_label(trains_on_val=self.trains_on_val)

    def headline(self) -> str:
        """Return a line: trials done and running, best so far, time left."""
        of_total = f"/{self.total}" if self.total is not None else ""
        left = self.seconds_left()
        paused = f"{len(self.paused)} paused, " if self.paused else ""
        held = "" if self.held_since is None else f"on hold since {text.moment(self.held_since)}: "
        return (
            f"{held}{self.done}{of_total} {self.what}s done, {len(self.running)} running, {paused}{self._best()}"
            f"{text.duration(time.monotonic() - self.started)} spent"
            + (f", about {text.duration(left)} left" if left is not None else "")
        )

    def _best(self) -> str:
        if self.what == "repeat":
            return ""
        best = "none yet" if self.best is None else f"{self.objective.shown(self.best)} (trial {self.best_id})"
        return f"{self.best_label} {best}, "


def deadline_after(minutes: float | None) -> float | None:
    """Return the working_time() at which a time budget that begins now is spent; None without a budget."""
    return None if minutes is None else working_time() + 60 * minutes


class View:
    """A context manager that draws a Progress for as long as someone reads it."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        """The drawn numbers; each phase sets its own"""
        self._console = Console()
        live = Live(console=self._console, auto_refresh=False, transient=True)
        self._live = live if self._console.is_terminal else None
        self._output = ExitStack()

    @property
    def is_plain(self) -> bool:
        """Whether the view prints plain lines only."""
        return self._live is None

    def __enter__(self) -> View:
        # A closed terminal, a reader that is gone or a log's full disk must not end the sweep.
        self._output.enter_context(lasting_output(drops_all=True))
        if self._live:
            self._live.start()
            self._output.callback(self._live.stop)
        return self

    def __exit__(self, *_: object) -> None:
        self._output.close()

    def say(self, line: str) -> None:
        """Print a line that stays; a terminal breaks it between words."""
        # Lines hold lists such as [512, 1024], which Rich would take for markup; a log keeps a line in one piece.
        self._console.print(printable(line), highlight=False, markup=False, soft_wrap=self.is_plain)

    def refresh(self) -> None:
        """Redraw the table, if there is a terminal."""
        if self._live:
            self._live.update(Group(self._table(), Text(self.progress.headline())), refresh=True)

    def _table(self) -> Table:
        objective = self.progress.objective
        headings = (self.progress.what, "epoch", cell(self.progress.best_label), "values")
        table = Table(*headings, box=None, pad_edge=False, header_style="bold")
        for _, trial in sorted(self.progress.running.items()):
            table.add_row(
                cell(trial.id), f"{trial.epoch}/{trial.epochs}", objective.shown(trial.best), cell(shown(trial.values))
            )
        return table


def shown(values: Values) -> str:
    """Return searched values as short text: ``lr 0.00123, arch Unet``."""
    labels = short_labels(values)
    return ", ".join(f"{labels[key]} {text.value(value)}" for key, value in values.items())
