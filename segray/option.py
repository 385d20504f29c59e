"""Command-line options of the fields of a declaration, such as ``Sweep.trials``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """A command-line option. A field carries it in ``Annotated``; type and default are the field's own."""

    help: str
    name: str = ""
    """Name such as ``--trial-timeout``; empty for the field's own name with dashes"""
    older_name: str = ""
    """A name that earlier versions had, which still works"""
    metavar: str | None = None
    type: object = None
    """Type of the value that is typed; None for the field's type"""
