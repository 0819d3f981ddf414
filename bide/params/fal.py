"""Params of fal's queue (https://fal.ai/docs/model-apis/model-endpoints/queue)."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from bide.params.base import Params

#: Longest model that is taken [characters].
LONGEST_MODEL = 200

#: Owner, app and a path within the app, after a namespace where there is one.
_PART = r"[A-Za-z0-9][\w.-]*"
_MODEL = re.compile(rf"((workflows|comfy)/|(?!(workflows|comfy)/)){_PART}/{_PART}(/{_PART})*", re.ASCII)


def is_model(text: str) -> bool:
    """Whether a text is the id of a model, each part of which can stand in a path."""
    return len(text) <= LONGEST_MODEL and _MODEL.fullmatch(text) is not None and "requests" not in text.split("/")


def _model(text: str) -> str:
    if not is_model(text):
        advice = 'must be the id of a model as fal shows it, such as "fal-ai/flux/dev"'
        raise PydanticCustomError("model", advice)
    return text


class Run(Params):
    """One request to any model of fal. Pictures of `inputs` go into `input`, as addresses under their names."""

    model_config = ConfigDict(extra="forbid")  # the body is the input alone: there is no place for anything else

    provider: ClassVar[str] = "fal"
    operation: ClassVar[str] = "run"

    model: Annotated[str, AfterValidator(_model)] = Field(
        max_length=LONGEST_MODEL, description='The model, such as "fal-ai/flux/dev"; its page says what `input` takes.'
    )
    input: dict[str, Any] = Field(default_factory=dict, description="What the model takes, spelled as its page has it.")
