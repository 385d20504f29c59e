"""Write values as on the command line, for messages that say what to type."""

from __future__ import annotations

import shlex

import yaml

from segray.values import Values


def set_options(values: Values) -> str:
    """Return ``--set KEY=VALUE`` for every dotted key, quoted for a shell, with values in YAML on one line."""
    return " ".join(f"--set {shlex.quote(f'{key}={one_line(value)}')}" for key, value in values.items())


def one_line(value: object) -> str:
    """Return a value in YAML on one line, such as ``[road, car]``."""
    return (
        yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True).removesuffix("\n...\n").strip()
    )
