"""Params of Nextry's operation (https://doc.nextry.app/docs/generation)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from bide.params.base import Params


class GenerateImage(Params):
    """Text fields of the form; which pictures a tool needs in `inputs` is the tool's own affair."""

    provider: ClassVar[str] = "nextry"
    operation: ClassVar[str] = "generate_image"

    others: ClassVar[frozenset[str]] = frozenset({"prompt", "generation_type"})

    tool: str = Field(min_length=1, description="The tool; `bide catalog nextry tools` lists them.")
