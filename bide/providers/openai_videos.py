"""The `/v1/videos` form of OpenAI, whose own service has ended: gateways go on with it, each in its own dialect.

The base URL ends before `/videos`, such as `https://gateway.example/v1`. Not stated anywhere, and taken on the careful
side here: whether a failed job is charged (unknown); DELETE, which deletes a finished video with its file, is not sent
as a cancel: a video that is made is paid for. A 2xx without an id is a doubt, whatever else it says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from bide.contract import Charged, FailureCause
from bide.errors import UnreadableAnswerError
from bide.params.openai_videos import Create
from bide.providers import reading
from bide.providers.base import (
    Account,
    Answer,
    Call,
    Failed,
    InputForm,
    Media,
    MediaKind,
    Operation,
    PollOutcome,
    PollPlan,
    Progress,
    Provider,
    Running,
    Submission,
    SubmitOutcome,
    Submitted,
    Succeeded,
    Ticket,
    Unknown,
    Upload,
)
from bide.providers.refusal import check_busy
from bide.providers.states import is_done, is_failed, no_reason

#: What the codes of a failed job mean; others mean no more than their words.
_CAUSES = {
    "moderation_blocked": FailureCause.MODERATED,
    "content_policy_violation": FailureCause.MODERATED,
    "invalid_request_error": FailureCause.BAD_INPUT,
    "invalid_input": FailureCause.BAD_INPUT,
    "rate_limit_exceeded": FailureCause.CAPACITY,
    "server_overloaded": FailureCause.CAPACITY,
    "server_error": FailureCause.PROVIDER,
    "internal_error": FailureCause.PROVIDER,
    "expired": FailureCause.EXPIRED,
}

#: Fields in which gateways put the address of a finished video, besides the documented `/content`.
_ADDRESSES = ("url", "video_url", "output_url", "output", "data", "result")


class OpenAIVideos(Provider):
    """POST `/videos` as a form, GET `/videos/{id}`; the file is at `/videos/{id}/content`, which wants the key."""

    name = "openai_videos"
    default_base_url = None
    operations: ClassVar[Mapping[str, Operation]] = {
        "create": Operation(
            params=Create,
            inputs=InputForm.FILE,
            allowed_inputs=frozenset({"input_reference"}),
            kinds=frozenset({MediaKind.VIDEO}),
        ),
    }
    poll_plan = PollPlan(first_seconds=10.0, factor=1.5, cap_seconds=30.0)
    deadline_seconds = 3600.0
    #: `expires_at` of OpenAI's own videos was an hour away; gateways say nothing.
    results_live_seconds = 3600.0
    error_fields = ("error", "message", "detail")
    source = "https://platform.openai.com/docs/api-reference/videos"

    def lane(self, operation: str, params: Mapping[str, Any]) -> str:
        return str(params.get("model") or "")

    def submit_call(self, submission: Submission, account: Account) -> Call:
        fields = dict(_fields(submission.params))
        files = {name: _as_file(upload) for name, upload in submission.inputs.items()}
        return Call("POST", account.url("/videos"), headers=account.bearer, form={**fields, **files})

    def poll_call(self, ticket: Ticket, account: Account) -> Call:
        return Call("GET", _address(account, ticket.provider_job_id), headers=account.bearer)

    def media_headers(self, account: Account) -> Mapping[str, str]:
        return account.bearer

    def error_text(self, answer: Answer) -> str:
        """`error` is an object, of which message and code are for people."""
        try:
            error = answer.object().get("error")
        except UnreadableAnswerError:
            error = None
        return _words(error) if isinstance(error, dict) else super().error_text(answer)

    def read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        if job_id := reading.as_id(answer.object().get("id")):
            return Submitted(job_id)
        raise UnreadableAnswerError("there is no id in it")

    def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        if answer.status == 404:
            return Unknown(self.error_text(answer) or "HTTP 404")
        body = answer.object()
        status = reading.as_word(body.get("status"))
        if is_failed(status):
            return self._failed(status, body, answer)
        if is_done(status):
            content = _address(account, ticket.provider_job_id) + "/content"
            return Succeeded((Media("video", url=content, fallback_urls=_elsewhere(body)),))
        return Running(status, progress=_progress(body), after_seconds=_after_seconds(answer))

    def _failed(self, status: str, body: dict[str, Any], answer: Answer) -> Failed:
        error = body.get("error")
        code = reading.as_text(error.get("code")).lower() if isinstance(error, dict) else ""
        reason = _words(error) or reading.first_text(body, ("message", "detail", "fail_reason"))
        check_busy(status, reason, after_seconds=self.wait_seconds(answer))
        cause = _CAUSES.get(code) or (FailureCause.EXPIRED if status == "expired" else None)
        return Failed(reason or no_reason(status), cause, Charged.UNKNOWN if cause else None)


def _address(account: Account, video_id: str) -> str:
    return account.url(f"/videos/{reading.in_path(video_id)}")


def _fields(values: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    """Text fields as the official client writes them, which names what is in an object `metadata[author]`."""
    for name, value in values.items():
        full = f"{within}[{name}]" if within else name
        if isinstance(value, Mapping):
            yield from _fields(value, full)
        elif value is not None:
            yield full, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _as_file(upload: Upload) -> tuple[str, bytes, str]:
    suffix = upload.content_type.rpartition("/")[2]
    return (f"{upload.name}.{suffix}", upload.content, upload.content_type)


def _words(error: Any) -> str:
    """Message and code of an error, or the text that it is."""
    if not isinstance(error, dict):
        return reading.as_text(error)
    parts = [reading.as_text(error.get(name)) for name in ("code", "message")]
    return ": ".join(filter(None, parts)) or reading.as_text(error.get("type"))


def _progress(body: dict[str, Any]) -> Progress | None:
    """`progress` is a whole number of percent."""
    percent = reading.as_positive(body.get("progress"))
    return Progress(fraction=min(percent / 100, 1.0)) if percent else None


def _after_seconds(answer: Answer) -> float | None:
    """When the service wants to be asked again; None leaves it to a Retry-After."""
    milliseconds = reading.as_positive(answer.headers.get("openai-poll-after-ms"))
    return milliseconds / 1000 if milliseconds else None


def _elsewhere(body: dict[str, Any]) -> tuple[str, ...]:
    """Addresses of the video besides its own, such as a gateway puts into its answer."""
    places = (entry for name in _ADDRESSES for entry in _entries(body.get(name)))
    found = (reading.url_or_blank(entry.get("url") if isinstance(entry, dict) else entry) for entry in places)
    return tuple(dict.fromkeys(filter(None, found)))


def _entries(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
