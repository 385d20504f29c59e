"""The folder of the cache: decoded images, and K-Means fits that cannot be stored with their data set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from segray.config import DataConfig
from segray.files import expanded

DEFAULT_LOCATION: Final = Path("~/.cache/segray")


def cache_location(config: DataConfig) -> Path:
    """Return the folder of the cache, which may not exist yet."""
    location = config.cache_dir or os.environ.get("SEGRAY_CACHE") or DEFAULT_LOCATION
    return expanded(location).absolute()
