"""The folder that keeps what is made once per node: decoded images, and fits that have no other place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from segray.config import DataConfig
from segray.files import expanded

DEFAULT_LOCATION: Final = Path("~/.cache/segray")


def cache_location(config: DataConfig) -> Path:
    """The folder of decoded images, there or not yet."""
    location = config.cache_dir or os.environ.get("SEGRAY_CACHE") or DEFAULT_LOCATION
    return expanded(location).absolute()
