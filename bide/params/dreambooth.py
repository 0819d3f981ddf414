"""Params of Dreambooth v4 (https://stablediffusionapi.com/docs)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, StrictBool, StrictStr
from pydantic_core import PydanticCustomError

from bide.params.base import Params


def _whole(least: int, most: int) -> Callable[[Any], Any]:
    """Whole numbers, which older pages write as strings."""

    def check(value: Any) -> Any:
        number = int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 9 else value
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            advice = "must be a whole number from {least} to {most}"
            raise PydanticCustomError("whole_number", advice, {"least": least, "most": most})
        return value

    return check


Side = Annotated[int | str, BeforeValidator(_whole(1, 1024))]
Samples = Annotated[int | str, BeforeValidator(_whole(1, 4))]
Flag = StrictBool | StrictStr  # "yes" and "no" in the old version


#: Documented for both calls, in this version of the API or another; most are texts, "yes" and "no" among them.
OTHERS = frozenset(
    {
        *("algorithm_type", "base64", "clip_skip", "embeddings", "embeddings_model", "enhance_style", "guidance_scale"),
        *("highres_fix", "instant_response", "ip_adapter_id", "ip_adapter_image", "ip_adapter_scale", "lora"),
        *("lora_model", "lora_strength", "multi_lingual", "num_inference_steps", "panorama", "safety_checker_type"),
        *("scheduler", "seed", "self_attention", "steps", "temp", "tomesd", "upscale", "use_karras_sigmas", "vae"),
    }
)


class Text2Img(Params):
    """Pictures from words. The account's key is added by bide."""

    provider: ClassVar[str] = "dreambooth"
    operation: ClassVar[str] = "text2img"
    others: ClassVar[frozenset[str]] = OTHERS

    model_id: str = Field(min_length=1, description="The model.")
    prompt: str = Field(min_length=1, description="What to draw.")
    negative_prompt: str | None = Field(default=None, description="What not to draw.")
    width: Side | None = Field(default=None, description="In pixels, 1024 at most.")
    height: Side | None = Field(default=None, description="In pixels, 1024 at most.")
    samples: Samples | None = Field(default=None, description="How many pictures, 4 at most.")
    safety_checker: Flag | None = Field(
        default=None, description="Whether pictures that are not safe for work are blanked."
    )
    enhance_prompt: Flag | None = Field(default=None, description="Whether the provider may add to the prompt.")
    webhook: str | None = Field(default=None, description="An address that the provider calls by itself, unsigned.")
    track_id: str | int | None = Field(default=None, description="Comes back with the provider's own call.")
    key: Annotated[None, BeforeValidator(lambda _: _not_yours())] = Field(default=None, description="Not yours to set.")


class Img2Img(Text2Img):
    """Pictures from a picture, which may also come as `init_image` in `inputs`."""

    operation: ClassVar[str] = "img2img"
    others: ClassVar[frozenset[str]] = OTHERS | {"strength"}

    init_image: str | None = Field(default=None, min_length=1, description="Address of the picture to begin with.")


def _not_yours() -> None:
    raise PydanticCustomError("key", "belongs to the account, not to a request; take it out")
