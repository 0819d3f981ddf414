"""Params of PhotoGPT's operations (https://platform.photogptai.com/docs)."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from bide.params.base import Params


class ImagesGeneration(Params):
    """Pictures by a base model or a trained one, which can do with a preset or an input image in place of a prompt."""

    provider: ClassVar[str] = "photogpt"
    operation: ClassVar[str] = "images.generation"
    others: ClassVar[frozenset[str]] = frozenset({"runType", "enhanceFace", "styleStrength"})

    modelID: str = Field(min_length=1, description="The model; `bide catalog photogpt models` lists them.")
    prompt: str | None = Field(default=None, description="What to draw.")
    preset: str | None = Field(default=None, description="A style of a trained model.")
    inputImageId: str | None = Field(default=None, description="A picture made before, to go on from.")
    numImages: int | None = Field(default=None, description="How many pictures.")
    aspectRatio: str | None = Field(default=None, description='Such as "1:1".')
    width: int | None = Field(default=None, description="In pixels.")
    height: int | None = Field(default=None, description="In pixels.")
    seed: int | None = Field(default=None, description="The same seed gives the same picture.")
    steps: int | None = Field(default=None, description="How many steps to refine it in.")
    options: dict[str, Any] | None = Field(default=None, description="Options of the model.")
    referenceImageURLs: list[str] | None = Field(default=None, description="Pictures to go by.")

    @model_validator(mode="after")
    def _something_to_draw(self) -> Self:
        if not (self.prompt or self.preset or self.inputImageId):
            raise PydanticCustomError("prompt", "prompt is required (a trained model may take preset or inputImageId)")
        return self


class ImagesUpscaling(Params):
    """A larger copy of a picture that was made before."""

    provider: ClassVar[str] = "photogpt"
    operation: ClassVar[str] = "images.upscaling"

    imageID: str = Field(min_length=1, description="The picture's id at the provider.")


class VideosGeneration(Params):
    """Videos, from words or from pictures, which are named for their role in `inputs` (`first_frame`)."""

    provider: ClassVar[str] = "photogpt"
    operation: ClassVar[str] = "videos.generation"
    others: ClassVar[frozenset[str]] = frozenset({"referenceVideos", "elementIDs"})

    modelID: str = Field(min_length=1, description="The model; `bide catalog photogpt models` lists them.")
    prompt: str = Field(min_length=1, description="What to show.")
    numVideos: int | None = Field(default=None, description="How many videos.")
    referenceImages: list[dict[str, Any]] | None = Field(default=None, description="Pictures with `url` and `role`.")
    options: dict[str, Any] | None = Field(default=None, description="Options of the model.")


class ModelsTrain(Params):
    """The trigger is a GET without a body: there is no place for anything but an id that stands in its path."""

    model_config = ConfigDict(extra="forbid")

    provider: ClassVar[str] = "photogpt"
    operation: ClassVar[str] = "models.train"

    modelID: str = Field(pattern=r"^[\w:-][\w.:-]*$", max_length=200, description="The model to train.")
