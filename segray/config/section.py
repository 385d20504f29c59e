"""What every config section is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, PositiveInt

SizePx = tuple[PositiveInt, PositiveInt]
"""(height, width) in pixels."""


class Section(BaseModel):
    """Base of every config section: frozen, keyword-only, unknown keys, NaN and infinity refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
