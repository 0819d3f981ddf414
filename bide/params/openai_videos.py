"""Params of the `/v1/videos` form (https://platform.openai.com/docs/api-reference/videos), which gateways speak."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, StrictInt, StrictStr

from bide.params.base import Params


class Create(Params):
    """A video from words, and perhaps from a picture that goes in as `input_reference`."""

    provider: ClassVar[str] = "openai_videos"
    operation: ClassVar[str] = "create"
    others: ClassVar[frozenset[str]] = frozenset({"input_reference", "metadata", "seed", "user"})

    prompt: str = Field(min_length=1, description="What to show.")
    model: str | None = Field(default=None, min_length=1, description="The model; the gateway's own by default.")
    seconds: StrictStr | StrictInt | None = Field(default=None, description='How long it is, such as "8".')
    size: str | None = Field(default=None, description='Width and height in pixels, such as "1280x720".')
