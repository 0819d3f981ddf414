"""The base of all params models."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Params(BaseModel):
    """The declared fields are checked, others pass to the provider as they are.

    A field that is neither declared nor among `others` passes with a warning. One that is spelled nearly like one of
    them is refused: it was meant as that.
    """

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, hide_input_in_errors=True)

    #: What these are the params of; '' where the model serves an adapter alone and is not submitted as it is.
    provider: ClassVar[str] = ""
    operation: ClassVar[str] = ""

    #: Further fields that the provider documents, whose values are its own affair.
    others: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def known(cls) -> frozenset[str]:
        """All fields that the provider is known to take."""
        return frozenset(cls.model_fields) | cls.others
