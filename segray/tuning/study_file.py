"""The sweep that a study file asks for, taken from its ``main`` without a run."""

from __future__ import annotations

import runpy
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from segray.errors import ConfigError, SegrayError
from segray.tuning.command import TAKEN_BY
from segray.tuning.sweep import Sweep


@dataclass(frozen=True)
class AskedSweep:
    """The sweep that a study's command line asks for."""

    sweep: Sweep
    make_data: Callable[[], object] | None
    """Makes the study's own data if it is missing; None if there is nothing to make"""


def asked_sweep(study: Path, arguments: Sequence[str]) -> AskedSweep:
    """Return the sweep that ``python STUDY ARGUMENTS`` would run.

    The file runs as a script, up to its call of ``main``.

    Args:
        study: A file that calls ``main``.
        arguments: The study's own options.

    Raises:
        ConfigError: There is no such file, it has a mistake, or it does not call ``main``.
        SystemExit: An option is wrong or asks for help; the study's command has printed why.
    """
    if not study.is_file():
        raise ConfigError(f"a study is a Python file such as sweeps/camvid_search.py, but there is no file '{study}'")
    taken: list[AskedSweep] = []
    token = TAKEN_BY.set(lambda sweep, make_data: taken.append(AskedSweep(sweep, make_data)))
    try:
        with _as_script(study, arguments):
            runpy.run_path(str(study), run_name="__main__")
    except SystemExit:
        # The command of `main` ends its process, also when it has done its work.
        if not taken:
            raise
    except SegrayError:
        raise
    except Exception as error:
        raise ConfigError(f"the study cannot be run: {_of_study(error, study)}") from None
    finally:
        TAKEN_BY.reset(token)
    if not taken:
        raise ConfigError(f"a study must end in main(SWEEP), but '{study}' does not call main")
    return taken[0]


@contextmanager
def _as_script(study: Path, arguments: Sequence[str]) -> Iterator[None]:
    """Give a study the command line and the import path that Python gives a script."""
    before = sys.argv
    sys.argv = [str(study), *arguments]
    # The path stays: a space may import its neighbours later.
    sys.path.insert(0, str(study.parent.absolute()))
    try:
        yield
    finally:
        sys.argv = before


def _of_study(error: Exception, study: Path) -> str:
    """Return an error with the last line of the study that led to it."""
    own = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(study)]
    line = error.lineno if isinstance(error, SyntaxError) else (own[-1] if own else None)
    where = f"{study}, line {line}" if line else str(study)
    return f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error} ({where})"
