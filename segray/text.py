"""Format numbers and values for a person, the same in the terminal and in the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

MISSING = "–"
_POINTS = "\u00a0points"


def is_missing(value: object) -> bool:
    """Return whether a cell of a frame is empty: None or NaN."""
    return value is None or value != value


def percent(fraction: float | None) -> str:
    """Return a fraction (0 to 1) as per cent with one decimal: ``42.3 %``."""
    return MISSING if fraction is None or math.isnan(fraction) else f"{100 * fraction:.1f}\u00a0%"


def points(difference: float) -> str:
    """Return the difference of two fractions in percentage points: ``+4.5 points``."""
    return f"{100 * difference:+.1f}{_POINTS}".replace("-", "−")


def percent_range(low: float, high: float) -> str:
    """Return a range of fractions in per cent: ``51.7 to 52.6``."""
    return f"{100 * low:.1f} to {100 * high:.1f}"


def points_range(low: float, high: float) -> str:
    """Return a range of differences in percentage points: ``−0.9 to +5.2``."""
    return f"{points(low).removesuffix(_POINTS)} to {points(high).removesuffix(_POINTS)}"


def decimal(number: float | None) -> str:
    """Return a number with four decimals: ``0.4231``."""
    return MISSING if number is None or math.isnan(number) else f"{number:.4f}".replace("-", "−")


def signed_decimal(difference: float) -> str:
    """Return the difference of two numbers with four decimals: ``+0.0312``."""
    return f"{difference:+.4f}".replace("-", "−")


def quantity(number: float | None, per_unit: float, unit: str) -> str:
    """Return a number in a unit, with three digits: ``12.3 ms`` or ``0.456 M``; a dash for a missing one."""
    if number is None or math.isnan(number):
        return MISSING
    amount = number / per_unit
    return f"{amount:.0f}\u00a0{unit}" if abs(amount) >= 100 else f"{amount:.3g}\u00a0{unit}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 seed``, ``3 seeds``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def mean_over(num_classes: int, total: int) -> str:
    """Return how many classes a mean is over: ``mean over 10 of 19 classes``, ``mean over all 19 classes``."""
    return f"mean over all {total} classes" if num_classes == total else f"mean over {num_classes} of {total} classes"


def duration(seconds: float) -> str:
    """Return seconds in their two largest units: ``45 s``, ``3 min 20 s``, ``2 h 05 min``, ``3 d 4 h``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if days:
        text = f"{days} d {hours_left} h"
    elif hours:
        text = f"{hours} h {minutes_left:02d} min"
    elif minutes:
        text = f"{minutes} min {rest:02d} s"
    else:
        text = f"{rest} s"
    return text.replace(" ", "\u00a0")


def moment(unix_seconds: float) -> str:
    """Return a Unix time as date and time of day: ``2026-12-01 14:05 UTC``."""
    return f"{datetime.fromtimestamp(unix_seconds, UTC):%Y-%m-%d %H:%M} UTC"


def data_size(num_bytes: int) -> str:
    """Bytes in the unit that fits, of 10^6 or 10^9: ``12.5 MB``, ``7.3 GB``."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"


def value(content: object) -> str:
    """Return a config value as text: ``none``, ``true``, ``3.16e-4``, ``224×320``, ``[1, 0.5, 4]``."""
    if is_missing(content):
        return "none"
    if isinstance(content, bool):
        return str(content).lower()
    if isinstance(content, float):
        if content.is_integer() and abs(content) < 1e5:
            return str(int(content))
        return f"{content:.3g}".replace("e-0", "e-").replace("e+0", "e+")
    if isinstance(content, list | tuple):
        is_size = len(content) == 2 and all(isinstance(item, int) for item in content)
        items = [value(item) for item in content]
        return "×".join(items) if is_size else f"[{', '.join(items)}]"
    return str(content)


def joined(names: Sequence[str]) -> str:
    """Return names as a list in a sentence: ``a``, ``a and b``, ``a, b and c``."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def words(name: str) -> str:
    """Return an identifier as words: ``out_of_memory`` becomes ``out of memory``."""
    return name.replace("_", " ")
