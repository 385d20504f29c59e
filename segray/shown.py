"""Make text safe for a terminal or a report: without control characters and secrets."""

from __future__ import annotations

import re
from typing import Final

_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters except newline and tab, marks that change the text direction, and bytes that are no UTF-8."""

_LOGIN: Final = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/@\s'\"]+@", re.IGNORECASE)
_SECRET: Final = re.compile(
    r"([?&][\w.-]*(?:key|secret|token|passw|signature|sig|credential|sas)[\w.-]*=)[^&\s'\"#]+", re.IGNORECASE
)


def printable(text: object) -> str:
    """Return text with control characters, such as Escape, written out, so that no terminal obeys them."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def redacted(text: object) -> str:
    """Return text with stars for the logins and keys in URLs: ``s3://***@bucket/runs?secret_key=***``."""
    return _SECRET.sub(r"\1***", _LOGIN.sub(r"\1***@", str(text)))


def cell(text: object) -> str:
    """Return text for a cell of a rich table, without control characters and markup."""
    from rich.markup import escape

    return escape(printable(text))
