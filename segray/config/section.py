"""The base class of every config section."""

from __future__ import annotations

from typing import get_args

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

SizePx = tuple[PositiveInt, PositiveInt]
"""(height, width) in pixels."""


class Section(BaseModel):
    """Base of every config section: frozen and keyword-only; refuses unknown keys, NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_bool_as_number(cls, value: object, info: ValidationInfo) -> object:
        """Refuse true for a number, since pydantic takes true for 1."""
        assert info.field_name is not None
        parts = _parts(cls.model_fields[info.field_name].annotation)
        items = value if isinstance(value, list | tuple) else [value]
        # A field that also takes words, such as balanced, has its own rule and message.
        is_number = parts & {int, float} and bool not in parts and not any(isinstance(part, str) for part in parts)
        if is_number and any(isinstance(item, bool) for item in items):
            raise PydanticCustomError("number", "must be a number")
        return value


def _parts(annotation: object) -> set[object]:
    """Return the types that a union or generic type is made of."""
    return set().union(*map(_parts, get_args(annotation))) if get_args(annotation) else {annotation}
