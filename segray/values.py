"""Names for mappings whose keys decide which types their values have, so that no annotation can tell them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Values = Mapping[str, object]
"""Dotted config key -> value"""

Json = dict[str, Any]
"""The content of a JSON file or a YAML file that holds a mapping"""
