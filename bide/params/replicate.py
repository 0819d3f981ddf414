"""Params of Replicate's predictions (https://replicate.com/docs/reference/http#predictions.create)."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from bide.params.base import Params

#: Longest name that is taken [characters].
LONGEST_NAME = 200

_OWNED = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"
_NAME = re.compile(_OWNED, re.ASCII)
_VERSION = re.compile(rf"[0-9a-f]{{64}}|{_OWNED}(:[A-Za-z0-9]{{1,64}})?", re.ASCII)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        advice = 'must be owner and name, such as "black-forest-labs/flux-schnell"; a version goes into params.version'
        raise PydanticCustomError("name", advice)
    return text


def _version(text: str) -> str:
    if not _VERSION.fullmatch(text):
        advice = 'must be the 64 digits of a version, "owner/name:version", or "owner/name" of an official model'
        raise PydanticCustomError("version", advice)
    return text


Name = Annotated[str, AfterValidator(_name)]
Version = Annotated[str, AfterValidator(_version)]


class Predict(Params):
    """One prediction of any model. Pictures of `inputs` go into `input`, as addresses under their names."""

    provider: ClassVar[str] = "replicate"
    operation: ClassVar[str] = "predict"
    others: ClassVar[frozenset[str]] = frozenset({"stream", "webhook", "webhook_events_filter"})

    model: Name | None = Field(
        default=None, max_length=LONGEST_NAME, description='An official model: "owner/name". Or `version`.'
    )
    version: Version | None = Field(
        default=None, max_length=LONGEST_NAME, description='A version of a model: its id, or "owner/name:id".'
    )
    deployment: Name | None = Field(
        default=None, max_length=LONGEST_NAME, description='A deployment of your own: "owner/name".'
    )
    input: dict[str, Any] = Field(default_factory=dict, description="What the model takes, spelled as its page has it.")

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        if sum(bool(each) for each in (self.model, self.version, self.deployment)) != 1:
            raise PydanticCustomError("model", "exactly one of model, version and deployment is required")
        return self
