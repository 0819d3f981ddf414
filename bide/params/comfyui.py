"""Params of ComfyUI's operation (https://docs.comfy.org/development/comfyui-server/comms_routes)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator
from pydantic_core import PydanticCustomError

from bide.params.base import Params

#: Entries of `extra_data` by which nodes of the graph spend the credits of an account at comfy.org.
_PAID = frozenset({"api_key_comfy_org", "auth_token_comfy_org"})


class Prompt(Params):
    """One run of a graph. Pictures that go in must lie on the server already; its own route for uploads takes them."""

    provider: ClassVar[str] = "comfyui"
    operation: ClassVar[str] = "prompt"

    prompt: dict[str, Any] = Field(
        min_length=1,
        description="The graph in the API format: nodes by their ids, each with `class_type` and `inputs`.",
    )
    client_id: StrictStr | None = Field(default=None, description="Which listener of /ws hears of the run.")
    extra_data: dict[str, Any] | None = Field(default=None, description="What goes into the metadata of the files.")
    front: StrictBool | None = Field(default=None, description="Whether it goes before all others in the queue.")
    number: StrictInt | StrictFloat | None = Field(
        default=None, description="Its place in the queue; the smallest is next."
    )
    partial_execution_targets: list[StrictStr] | None = Field(
        default=None, description="The ids of the output nodes to run; all by default."
    )
    prompt_id: Annotated[None, BeforeValidator(lambda _: _not_yours())] = Field(
        default=None, description="Not yours to set."
    )

    @model_validator(mode="after")
    def _free(self) -> Self:
        """A run is sent again where its answer is lost, and a request is kept in Redis as it is."""
        if paid := sorted(_PAID & (self.extra_data or {}).keys()):
            advice = "{name} in extra_data is a secret and spends credits, and bide repeats runs as free; take it out"
            raise PydanticCustomError("paid", advice, {"name": paid[0]})
        return self


def _not_yours() -> None:
    raise PydanticCustomError("prompt_id", "belongs to the job, not to a request; take it out")
