"""CyberPhotoBooth: pictures go in and come out as base64 inside JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bide.errors import UnreadableAnswerError
from bide.params.cyberphotobooth import Generate
from bide.providers import reading
from bide.providers.base import (
    Account,
    Answer,
    Call,
    Catalog,
    Failed,
    Finished,
    InputForm,
    Media,
    Operation,
    PollOutcome,
    PollPlan,
    Provider,
    Running,
    Submission,
    SubmitOutcome,
    Submitted,
    Succeeded,
    Ticket,
    Unknown,
)
from bide.providers.refusal import check_busy, refusal_by_words
from bide.providers.states import is_done, is_failed, no_reason

#: A finished job's answer holds all its pictures and videos as base64.
MAX_STATUS_BYTES = 256 * 1024 * 1024

_DONE = {"completed", "ready", "done"}
_FAILED = {"failed", "error"}


class CyberPhotoBooth(Provider):
    """Submit, then poll `/async/status/{job_id}`; the finished answer holds the result."""

    name = "cyberphotobooth"
    default_base_url = "https://api.cyberphotobooth.ru/api"
    operations: ClassVar[Mapping[str, Operation]] = {
        "generate": Operation(params=Generate, inputs=InputForm.BASE64),
    }
    poll_plan = PollPlan(first_seconds=2.0, factor=2.0, cap_seconds=20.0)
    deadline_seconds = 900.0
    #: Expiry exists ("not found / expired"), no figure does: assumed short.
    results_live_seconds = 3600.0
    catalogs: ClassVar[Mapping[str, Catalog]] = {"styles": Catalog("The public styles, by name and style_id")}
    source = "https://cyberphotobooth.ru/api-docs"

    def submit_call(self, submission: Submission, account: Account) -> Call:
        pictures = {name: upload.base64 for name, upload in submission.inputs.items()}
        body = {**submission.params, "params": {**submission.params.get("params", {}), **pictures}}
        return Call("POST", account.url("/async/submit"), headers=account.bearer, json=body)

    def poll_call(self, ticket: Ticket, account: Account) -> Call:
        url = account.url(f"/async/status/{reading.in_path(ticket.provider_job_id)}")
        return Call("GET", url, headers=account.bearer, max_answer_bytes=MAX_STATUS_BYTES)

    def catalog_call(self, catalog: str, arguments: Mapping[str, str], account: Account) -> Call:
        if catalog != "styles":
            return super().catalog_call(catalog, arguments, account)
        return Call("GET", account.url("/public/styles"))

    def read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        body = answer.object()
        if job_id := reading.as_id(body.get("job_id")):
            return Submitted(job_id, estimate_seconds=reading.as_positive(body.get("estimated_wait_time_seconds")))
        status = reading.as_text(body.get("status")).lower()
        if status in _FAILED:
            text = reading.first_text(body, self.error_fields)
            return refusal_by_words(text, after_seconds=self.wait_seconds(answer))
        if is_done(status) and (outputs := _outputs(body)):  # as the older, blocking call answers
            return Finished("", outputs, partial=_missing(body, outputs))
        raise UnreadableAnswerError("there is no job_id in it")

    def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        if answer.status == 404 and not _has_status(answer):
            return Unknown(self.error_text(answer) or "HTTP 404")
        body = answer.object()
        status = reading.as_word(body.get("status"))
        outputs = _outputs(body) if is_done(status) else ()
        if outputs or status in _DONE:
            return Succeeded(outputs, _missing(body, outputs))
        if is_failed(status):
            reason = reading.first_text(body, ("error", "message", "detail"))
            check_busy(status, reason, after_seconds=self.wait_seconds(answer))
            return Failed(reason or no_reason(status))
        if status == "not_found":
            return Unknown("not found or expired")
        return Running(status)

    def read_catalog(self, catalog: str, answer: Answer) -> list[dict[str, Any]]:
        return reading.records(answer.json(), "styles", "items", "data")


def _has_status(answer: Answer) -> bool:
    try:
        return isinstance(answer.object().get("status"), str)
    except UnreadableAnswerError:
        return False


def _outputs(body: dict[str, Any]) -> tuple[Media, ...]:
    """`results`; where that is empty, the first of the places that the older call and the S3 links use."""
    results, links = body.get("results") or {}, body.get("s3_urls") or {}
    if not isinstance(results, dict) or not isinstance(links, dict):
        raise UnreadableAnswerError("results that are not an object")
    found = (
        *reading.all_media(results.get("images"), role="image"),
        *reading.all_media(results.get("videos"), role="video"),
    )
    for place in (links.get("output"), body.get("result"), body.get("image"), body.get("image_url")):
        found = found or tuple(map(reading.by_suffix, reading.all_media(place, role="image")))
    return found


def _missing(body: dict[str, Any], outputs: tuple[Media, ...]) -> str:
    results = body.get("results") or {}
    named = sum(len(reading.listed(results.get(name))) for name in ("images", "videos"))
    return reading.missing(len(outputs), named)
