"""Dreambooth v4 (stablediffusionapi.com, ModelsLab): the key goes in the body, errors come under HTTP 200."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bide.contract import FailureCode
from bide.errors import InvalidRequestError, UnreadableAnswerError
from bide.params.dreambooth import Img2Img, Text2Img
from bide.providers import reading
from bide.providers.base import (
    Account,
    Answer,
    Call,
    Failed,
    Finished,
    InputForm,
    Media,
    Operation,
    PollOutcome,
    PollPlan,
    Progress,
    Provider,
    Refused,
    Running,
    Submission,
    SubmitOutcome,
    Submitted,
    Succeeded,
    Ticket,
    Unknown,
)
from bide.providers.copies import with_copies
from bide.providers.refusal import not_of_the_job, refusal_by_words
from bide.providers.states import is_done, is_failed, no_reason

#: With `base64` asked for, up to four pictures of 1024x1024 stand in one answer.
MAX_ANSWER_BYTES = 64 * 1024 * 1024

#: How long the spam filter refuses a request that was sent twice [seconds].
SPAM_FILTER_SECONDS = 30.0

#: Path of each operation under the base URL.
PATHS = {"text2img": "/dreambooth", "img2img": "/dreambooth/img2img"}


class Dreambooth(Provider):
    """Submit may answer with the result at once; else POST `/dreambooth/fetch` until it is there."""

    name = "dreambooth"
    default_base_url = "https://stablediffusionapi.com/api/v4"
    operations: ClassVar[Mapping[str, Operation]] = {
        "text2img": Operation(params=Text2Img),
        "img2img": Operation(params=Img2Img, inputs=InputForm.URL),
    }
    poll_plan = PollPlan(first_seconds=3.0, factor=2.0, cap_seconds=30.0)
    #: Documented for temporary and enterprise storage, assumed for the rest.
    results_live_seconds = 24 * 3600.0
    error_fields = ("message", "messege", "error", "tip", "tips")
    source = "https://stablediffusionapi.com/docs/community-models-api-v4/dreamboothfetchqueimg"

    def check(self, operation: str, params: Mapping[str, Any], input_names: set[str]) -> Operation:
        known = super().check(operation, params, input_names)
        if operation == "img2img" and not params.get("init_image") and "init_image" not in input_names:
            raise InvalidRequestError("params.init_image: is required, as an address here or as a picture in inputs")
        return known

    def submit_call(self, submission: Submission, account: Account) -> Call:
        pictures = {name: upload.url for name, upload in submission.inputs.items()}
        body = {**submission.params, **pictures, **_hook(submission, account), "key": account.api_key}
        url = account.url(PATHS[submission.operation])
        return Call("POST", url, json=body, max_answer_bytes=MAX_ANSWER_BYTES)

    def poll_call(self, ticket: Ticket, account: Account) -> Call:
        body = {"key": account.api_key, "request_id": ticket.provider_job_id}
        return Call("POST", account.url("/dreambooth/fetch"), json=body, max_answer_bytes=MAX_ANSWER_BYTES)

    def wait_seconds(self, answer: Answer) -> float | None:
        return reading.retry_after(answer) or answer.retry_after_seconds

    def trouble(self, answer: Answer, ticket: Ticket) -> None:
        if answer.status not in (400, 422):  # the same error bodies also come under 200: the body decides
            super().trouble(answer, ticket)

    def read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        body = answer.object()
        status = reading.as_text(body.get("status")).lower()
        reason = reading.first_text(body, self.error_fields)
        job_id = reading.as_id(body.get("id"))
        if status in ("error", "failed") and reading.has_id(body.get("id")):
            raise UnreadableAnswerError(f"{status}, and yet a job has an id")
        if status == "error":
            return refusal_by_words(reason, after_seconds=self.wait_seconds(answer) or SPAM_FILTER_SECONDS)
        if status == "failed":
            return Refused(FailureCode.GENERATION_FAILED, reason or no_reason(status))
        return _accepted(body, job_id or reading.as_id(body.get("request_id")), status=status)

    def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        if answer.status == 404:
            return Unknown(self.error_text(answer) or "HTTP 404")
        body = answer.object()
        status = reading.as_word(body.get("status"))
        reason = reading.first_text(body, self.error_fields)
        if status == "error":
            about = not_of_the_job(reason, after_seconds=self.wait_seconds(answer))
            return about or Failed(reason or no_reason(status))
        if is_failed(status):
            return Failed(reason or no_reason(status))
        outputs = _outputs(body) if is_done(status) else ()
        if outputs or status == "success":
            return Succeeded(outputs, reading.missing(len(outputs), len(reading.listed(body.get("output")))))
        return Running(status, progress=_progress(body))


def _progress(body: dict[str, Any]) -> Progress | None:
    """The time that it stands in the queue for, as far as the answer says: most say none."""
    left = reading.as_positive(body.get("queue_time")) or reading.as_positive(body.get("eta"))
    return Progress(left_seconds=left) if left else None


def _hook(submission: Submission, account: Account) -> dict[str, str]:
    """Where the provider is to call when the job has ended, unless the request wants that call for itself."""
    if account.hooks is None or submission.params.get("webhook"):
        return {}
    own = submission.params.get("track_id") or submission.job_id
    return {"webhook": account.hooks.address(submission.job_id), "track_id": own}


def _accepted(body: dict[str, Any], job_id: str, *, status: str) -> SubmitOutcome:
    """Finished where the outputs are there and readable; else there must be an id to ask for them again."""
    try:
        outputs = _outputs(body) if is_done(status) else ()
    except UnreadableAnswerError:
        if not job_id:
            raise
        outputs = ()
    if outputs:
        return Finished(job_id, outputs, partial=reading.missing(len(outputs), len(reading.listed(body.get("output")))))
    if not job_id:
        raise UnreadableAnswerError("there is no id in it")
    estimate = reading.as_positive(body.get("eta")) or reading.as_positive(body.get("queue_time"))
    return Submitted(job_id, estimate_seconds=estimate)


def _outputs(body: dict[str, Any]) -> tuple[Media, ...]:
    """`output`, with copies from `proxy_links` and `future_links` for where an address fails or none is given."""
    links = [reading.as_urls(body.get(name)) for name in ("proxy_links", "future_links")]
    return with_copies([("image", entry) for entry in reading.listed(body.get("output"))], links, role="image")
