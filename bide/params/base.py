"""The base of all params models."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Params(BaseModel):
    """The known fields are checked, unknown ones pass to the provider as they are."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, hide_input_in_errors=True)

    #: What these are the params of; '' where the model serves an adapter alone and is not submitted as it is.
    provider: ClassVar[str] = ""
    operation: ClassVar[str] = ""
