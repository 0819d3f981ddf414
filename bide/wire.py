"""The base of all that travels, and the form of names on the wire."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from bide.validation import NAME_PATTERN

#: The name of a provider, an operation, an account or a tenant.
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=64)]


class Wire(BaseModel):
    """The base of all that travels: frozen, strict, without unknown fields, since a misspelt key could cost money."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)
