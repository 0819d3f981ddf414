"""Params of Black Forest Labs' operations (https://docs.bfl.ai/api-reference), each named by its model's path.

A model that has no class here is asked for by `Generate` and its field `model`. Pictures are addresses or base64; those
in `inputs` go by the same names.
"""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, StrictFloat, StrictInt, model_validator
from pydantic_core import PydanticCustomError

from bide.params.base import Params

#: Pictures to go by.
REFERENCES = ("input_image", *(f"input_image_{number}" for number in range(2, 9)))

_OTHERS = frozenset({"prompt_upsampling", "seed", "webhook_secret", "webhook_url"})


class _Model(Params):
    """What all models of pictures take."""

    provider: ClassVar[str] = "bfl"
    others: ClassVar[frozenset[str]] = _OTHERS

    safety_tolerance: int | None = Field(default=None, ge=0, le=6, description="How much moderation lets pass.")
    output_format: Literal["jpeg", "png", "webp"] | None = Field(default=None, description="Of the picture.")


class _Sized(_Model):
    """A picture of so many pixels."""

    width: int | None = Field(default=None, ge=64, description="In pixels.")
    height: int | None = Field(default=None, ge=64, description="In pixels.")


class Flux2Max(_Sized):
    """FLUX.2 [max]: a picture from words, and from up to eight pictures."""

    operation: ClassVar[str] = "flux-2-max"
    others: ClassVar[frozenset[str]] = _OTHERS | frozenset(REFERENCES)

    prompt: str = Field(min_length=1, description="What to draw, or what to change.")


class Flux2Pro(Flux2Max):
    """FLUX.2 [pro]."""

    operation: ClassVar[str] = "flux-2-pro"


class Flux2Flex(Flux2Max):
    """FLUX.2 [flex]: with steps and guidance."""

    operation: ClassVar[str] = "flux-2-flex"

    steps: int | None = Field(default=None, ge=1, description="How many steps to refine it in.")
    guidance: StrictInt | StrictFloat | None = Field(default=None, description="How closely to follow the prompt.")


class Flux2Klein4B(Flux2Max):
    """FLUX.2 [klein] 4B."""

    operation: ClassVar[str] = "flux-2-klein-4b"


class Flux2Klein9B(Flux2Max):
    """FLUX.2 [klein] 9B."""

    operation: ClassVar[str] = "flux-2-klein-9b"


class FluxKontextPro(_Model):
    """FLUX.1 Kontext [pro]: a picture from words, or from a picture and what to change in it."""

    operation: ClassVar[str] = "flux-kontext-pro"
    others: ClassVar[frozenset[str]] = _OTHERS | frozenset(REFERENCES[:4])

    prompt: str = Field(min_length=1, description="What to draw, or what to change.")
    aspect_ratio: str | None = Field(default=None, description='From "21:9" to "9:21".')


class FluxKontextMax(FluxKontextPro):
    """FLUX.1 Kontext [max]."""

    operation: ClassVar[str] = "flux-kontext-max"


class FluxPro11(_Sized):
    """FLUX1.1 [pro]."""

    operation: ClassVar[str] = "flux-pro-1.1"
    others: ClassVar[frozenset[str]] = _OTHERS | {"image_prompt"}

    prompt: str | None = Field(default=None, description="What to draw.")


class FluxPro11Ultra(_Model):
    """FLUX1.1 [pro] Ultra, and Raw."""

    operation: ClassVar[str] = "flux-pro-1.1-ultra"
    others: ClassVar[frozenset[str]] = _OTHERS | {"image_prompt", "image_prompt_strength"}

    prompt: str | None = Field(default=None, description="What to draw.")
    aspect_ratio: str | None = Field(default=None, description='From "21:9" to "9:21".')
    raw: bool | None = Field(default=None, description="Whether it looks less processed.")


class FluxDev(FluxPro11):
    """FLUX.1 [dev]."""

    operation: ClassVar[str] = "flux-dev"

    steps: int | None = Field(default=None, ge=1, description="How many steps to refine it in.")
    guidance: StrictInt | StrictFloat | None = Field(default=None, description="How closely to follow the prompt.")


class FluxProFill(_Model):
    """FLUX.1 Fill [pro]: paints over the white parts of `mask`."""

    operation: ClassVar[str] = "flux-pro-1.0-fill"
    others: ClassVar[frozenset[str]] = _OTHERS | {"image", "mask", "steps", "guidance"}

    prompt: str | None = Field(default=None, description="What to draw there.")


class Flux3Video(Params):
    """FLUX 3: a video with sound."""

    provider: ClassVar[str] = "bfl"
    operation: ClassVar[str] = "flux-3-video"
    others: ClassVar[frozenset[str]] = _OTHERS | {
        *("aspect_ratio", "batch", "draft", "draft_cache", "duration", "generate_audio", "keyframes", "resolution"),
        *("start_video", "version"),
    }

    mode: Literal["t2v", "i2v", "v2v", "draft_enhance"] = Field(description="What the video is made from.")
    prompt: str | None = Field(default=None, description="What to show.")

    @model_validator(mode="after")
    def _something_to_show(self) -> Self:
        if self.mode != "draft_enhance" and not self.prompt:
            raise PydanticCustomError("prompt", "prompt is required by this mode")
        return self


class Generate(Params):
    """Any model, such as one that came out after this release of bide; the other fields are its own."""

    provider: ClassVar[str] = "bfl"
    operation: ClassVar[str] = "generate"
    others: ClassVar[frozenset[str]] = frozenset().union(
        *(each.known() for each in (Flux2Flex, FluxKontextPro, FluxPro11Ultra, FluxDev, FluxProFill, Flux3Video))
    )

    model: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=100, description="The last part of its path, such as flux-2-pro."
    )
