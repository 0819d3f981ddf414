"""The requests of callers, and how they become requests that can travel."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

from pydantic import JsonValue

from bide.client.outputs import Uploads
from bide.contract import JOB_ID, MAX_REQUEST_BYTES, GenerateRequest
from bide.errors import InvalidRequestError
from bide.fallback import Fallback
from bide.inputs import is_address, tidied
from bide.params import Params
from bide.providers import find
from bide.providers.base import Provider
from bide.providers.fallbacks import check_in_turn
from bide.retention import tags_of

#: Inputs above this size are uploaded first where the client has a store [bytes].
UPLOAD_ABOVE_BYTES = 32 * 1024

#: Stands for each input of a request whose price is asked for: no price reads one, so none is read or uploaded.
STAND_IN = "AA=="

#: A request: the contract's own, a JSON object, or the params of one operation (`bide.params`).
Request = GenerateRequest | Params | Mapping[str, Any]


class Options(TypedDict, total=False):
    """The fields of a request besides provider, operation and params; they win over those of the request itself."""

    inputs: Mapping[str, str | bytes | Path]
    account: str
    priority: Literal["interactive", "bulk"]
    idempotency_key: str | None
    deadline_seconds: float | None
    on_unknown: Literal["hold", "resubmit"]
    fallbacks: Sequence[Fallback | Mapping[str, Any]]
    output_prefix: str | None
    tenant: str | None
    retention_days: int | None
    callback_url: str | None
    metadata: Mapping[str, JsonValue]


def checked(
    request: Request, options: Options, uploads: Uploads | None, *, stand_in: str = ""
) -> tuple[GenerateRequest, Provider]:
    """The request with its large pictures uploaded, and the adapter that accepts it; raises `InvalidRequestError`.

    With a `stand_in` no input is read or uploaded: each has this text.
    """
    fields: dict[str, Any] = {**_fields(request), **options}
    if fields.get("metadata"):
        fields["metadata"] = dict(fields["metadata"])
    if isinstance(fields.get("fallbacks"), list | tuple):
        fields["fallbacks"] = [_plain(each) for each in fields["fallbacks"]]
    if fields.get("inputs"):
        inputs, days = dict(fields["inputs"]), _days(fields.get("retention_days"))
        fields["inputs"] = {name: stand_in or _input(name, value, uploads, days) for name, value in inputs.items()}
    parsed = GenerateRequest.parse(fields)
    return parsed, check_in_turn(parsed, _accepting)


def checked_many(
    requests: Iterable[Request], options: Options, uploads: Uploads | None
) -> list[tuple[GenerateRequest, Provider]]:
    """As `checked`, for requests in their order; an error names the place of its request, `requests[3]`."""
    ready = []
    for place, request in enumerate(requests):
        try:
            ready.append(checked(request, options, uploads))
        except InvalidRequestError as error:
            raise InvalidRequestError(
                f"requests[{place}]: {error}", redacted=f"requests[{place}]: {error.redacted}"
            ) from None
    return ready


def _accepting(request: GenerateRequest) -> Provider:
    """The adapter that accepts a request; raises `InvalidRequestError`."""
    adapter = find(request.provider)
    adapter.check(request.operation, request.params, set(request.inputs))
    return adapter


def check_job_id(job_id: object) -> str:
    """The job id, if its form is right; raises `InvalidRequestError`."""
    if not isinstance(job_id, str) or not JOB_ID.fullmatch(job_id):
        raise InvalidRequestError("job_id: letters, digits and _.:- only, 128 at most")
    return job_id


def _fields(request: Request) -> dict[str, Any]:
    if isinstance(request, GenerateRequest):
        return request.model_dump(mode="json", exclude_defaults=True)
    if isinstance(request, Mapping):
        return dict(request)
    if not isinstance(request, Params):
        raise InvalidRequestError(f"request: must be a JSON object, not {type(request).__name__}")
    if not request.provider:
        name = type(request).__name__
        raise InvalidRequestError(f"params: {name} does not say its provider and operation; submit a whole request")
    return {
        "provider": request.provider,
        "operation": request.operation,
        "params": request.model_dump(mode="json", exclude_unset=True),
    }


def _plain(fallback: Any) -> Any:
    """A fallback as JSON has it."""
    return fallback.model_dump(mode="json", exclude_defaults=True) if isinstance(fallback, Fallback) else fallback


def _input(name: str, value: object, uploads: Uploads | None, days: int | None) -> object:
    """An input that can travel: bytes and files as base64, or uploaded where they are large; text unchanged.

    A text that is a large picture is uploaded, too.
    """
    content = _read(name, value) if isinstance(value, Path) else value
    if isinstance(content, str):
        content = tidied(content)
        if len(content) <= UPLOAD_ABOVE_BYTES or is_address(content):
            return content
        content = _decoded(name, content)
    if not isinstance(content, bytes):
        return content
    if len(content) > UPLOAD_ABOVE_BYTES and uploads is not None:
        return _uploaded(content, uploads, days)
    if len(content) > MAX_REQUEST_BYTES:
        raise InvalidRequestError(
            f"inputs.{name}: {len(content)} bytes are too many for a message; give the client `uploads` "
            "(a bide.client.object_store), or upload the picture and pass its s3:// or https:// address"
        )
    return base64.b64encode(content).decode()


def _uploaded(content: bytes, uploads: Uploads, days: int | None) -> str:
    """The address of an uploaded picture; the same picture again is the same request.

    One that is to go after some days has a key for these, so that no other request shortens or lengthens its time.
    """
    digest = hashlib.sha256(content).hexdigest()
    if days is None:
        key = f"uploads/{digest}"
        uploads.put(key, content, content_type="application/octet-stream")
    else:
        key = f"uploads/{days}-days/{digest}"
        cast("Any", uploads).put(key, content, content_type="application/octet-stream", tags=tags_of(days))
    return uploads.uri(key)


def _days(value: object) -> int | None:
    """The days of a request that is not checked yet: its check says what is wrong with any other value."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRequestError(f"inputs.{name}: {path} can't be read: {error.strerror}") from None


def _decoded(name: str, text: str) -> bytes:
    data = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except ValueError:
        raise InvalidRequestError(f"inputs.{name}: is neither an address nor base64") from None
