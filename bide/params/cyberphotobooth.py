"""Params of CyberPhotoBooth's operation (https://cyberphotobooth.ru/api-docs)."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Self

from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator
from pydantic_core import PydanticCustomError

from bide.params.base import Params

_DATA_URI = re.compile(r"\s*data:[^,\s]*;base64,", re.IGNORECASE)


class Generate(Params):
    """The whole body; which keys `params` takes depends on the mode. Pictures go into `inputs` (`Face`, `Fon`)."""

    provider: ClassVar[str] = "cyberphotobooth"
    operation: ClassVar[str] = "generate"

    others: ClassVar[frozenset[str]] = frozenset(
        {"event", "logo_base64", "logo_pos_x", "logo_pos_y", "logo_scale", "post_delivery"}
    )

    mode: str = Field(min_length=1, description='Such as "style_sdxl_zero".')
    style: StrictStr | StrictInt | None = Field(
        default=None, description="Name or id of a style; `bide catalog cyberphotobooth styles` lists them."
    )
    user_style_id: StrictStr | StrictInt | None = Field(
        default=None, description="A style of your own in place of `style`."
    )
    return_s3_link: StrictBool | None = Field(default=None, description="Whether the result comes as addresses.")
    params: dict[str, Any] = Field(default_factory=dict, description='Of the mode, such as {"Sex": "woman"}.')

    @model_validator(mode="after")
    def _one_style(self) -> Self:
        if self.style in (None, "") and self.user_style_id in (None, ""):
            raise PydanticCustomError("style", "style or user_style_id is required")
        return self

    @model_validator(mode="after")
    def _bare_base64(self) -> Self:
        for name, value in self.params.items():
            if isinstance(value, str) and _DATA_URI.match(value):
                advice = "{name} must be base64 without its data-URI prefix; or pass the picture in inputs"
                raise PydanticCustomError("data_uri", advice, {"name": name})
        return self
