"""The tables of requests in a provider's file."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bide.providers.declared.types import Below, Codes, Headers, Json, JsonTable, Method, Text


class Table(BaseModel):
    """One table of the file: no other keys than these, and no types but theirs."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True
    )


class CallTable(Table):
    """One request. `path` is below the base URL; `url` is a whole address, such as one from the handle."""

    method: Method = Field("GET", description="GET, POST, PUT, PATCH or DELETE")
    path: Below | None = Field(
        None,
        description="the path below the base URL; beside `url` for where the record lacks what that needs",
    )
    url: Text | None = Field(None, description='an address from the handle, such as "{handle.status}"')
    query: dict[Text, str] = Field({}, description="fields of the address's query")
    headers: Headers = Field({}, description="headers besides those of [auth]")
    json_: Json = Field(None, alias="json", description="the body, a template in JSON")
    form: JsonTable | None = Field(None, description="the fields and files of a multipart body")
    max_answer_bytes: Annotated[int, Field(ge=1024, le=1024**3)] = Field(
        4 * 1024 * 1024, description="the largest answer that is read [bytes]"
    )


class HookTable(Table):
    """Fields of the body that are sent where the deployment has an endpoint for the provider's calls."""

    json_: JsonTable = Field(alias="json", description='such as { webhook = "{hook}" }')
    unless: Text | None = Field(None, description="a placeholder; where it holds something, the fields stay away")


class SubmitTable(CallTable):
    """`submit`: the one request that buys."""

    method: Method = Field("POST", description="POST, usually")
    hook: HookTable | None = Field(None, description="fields for the provider's call when the job has ended")


class CancelTable(CallTable):
    """`cancel`: the request that stops a job, and what its codes mean; any other code says nothing."""

    method: Method = Field("POST", description="POST, PUT or DELETE")
    stopped: Codes = Field([], description="codes of a job that is surely over")
    requested: Codes = Field([], description="codes of a cancel that was taken note of")
    too_late: Codes = Field([], description="codes of a job that had ended before")
