"""fal's queue: any of its models; the submit's answer says where status, result and cancel are.

Facts that its pages leave open, and what is made of them where money hangs on it:

- A submit answered by a 5xx may be accepted: fal knows no idempotency key and lists no requests, so it is never
  repeated by itself. fal's own client sends it again.
- A cancel is only ever `REQUESTED`, also where fal took the request out of its queue: the answer does not tell that
  from a signal which the model may ignore.
- A request that fails with a 5xx is free by fal's pages. One that fails with a 4xx may be charged: unknown, unless the
  header X-Fal-Billable-Units says.
- Files lie on `fal.media`, are public, and are fetched without the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from json import dumps, loads
from typing import Any, ClassVar

from bide.errors import PollFailedError, SubmissionUnknownError, UnreadableAnswerError
from bide.params.fal import Run, is_model
from bide.providers import reading
from bide.providers.any_model import KINDS, input_of, output_of
from bide.providers.base import (
    Account,
    Answer,
    Call,
    Canceled,
    Cancels,
    FetchNow,
    InputForm,
    MediaKind,
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
    Ticket,
    Unknown,
)
from bide.providers.fal_errors import ERRORS, failure, is_about_the_job, with_cost
from bide.providers.refusal import check_busy
from bide.providers.states import is_done, is_failed

#: A result may hold its files as data URIs (`sync_mode`).
MAX_RESULT_BYTES = 256 * 1024 * 1024

#: What the status of a completed request says of its failure.
_SEEN = ("error", "error_type")

#: How a cancel is answered: in `status`, under 200, 202, 400 or 404.
_CANCELED = {
    "OK": Canceled.REQUESTED,
    "CANCELLATION_REQUESTED": Canceled.REQUESTED,
    "ALREADY_COMPLETED": Canceled.TOO_LATE,
}


class Fal(Cancels, Provider):
    """The key is `FAL_KEY`, or `FAL_KEY_ID:FAL_KEY_SECRET`."""

    name = "fal"
    default_base_url = "https://queue.fal.run"
    hosts = ("*.fal.run",)
    operations: ClassVar[Mapping[str, Operation]] = {
        "run": Operation(params=Run, inputs=InputForm.URL, kinds=KINDS, deadline_seconds=3600.0),
    }
    poll_plan = PollPlan(first_seconds=2.0, factor=1.5, cap_seconds=20.0)
    #: The pages say 6 minutes, an hour or 30 days for a result; its files live a week at least.
    results_live_seconds = 3600.0
    error_fields = ERRORS
    source = "https://fal.ai/docs/model-apis/model-endpoints/queue"

    def lane(self, operation: str, params: Mapping[str, Any]) -> str:
        return reading.as_text(params.get("model"))

    def submit_call(self, submission: Submission, account: Account) -> Call:
        url = account.url(f"/{_in_path(submission.params['model'])}")
        return Call("POST", url, headers=_headers(account), json=input_of(submission))

    def poll_call(self, ticket: Ticket, account: Account) -> Call:
        if ticket.cursor:
            url = _address(ticket, account, "result")
            return Call("GET", url, headers=_headers(account), max_answer_bytes=MAX_RESULT_BYTES)
        return Call("GET", _address(ticket, account, "status"), headers=_headers(account))

    def cancel_call(self, ticket: Ticket, account: Account) -> Call | None:
        return Call("PUT", _address(ticket, account, "cancel"), headers=_headers(account))

    def refusal(self, answer: Answer) -> Refused | None:
        if answer.status == 503:  # a gateway's or a runner's: the queue may have the request
            raise SubmissionUnknownError("the provider answered HTTP 503; the job may have been accepted")
        return super().refusal(answer)

    def read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        body = answer.object()
        request_id = reading.as_id(body.get("request_id"))
        if not request_id:
            raise UnreadableAnswerError("there is no request_id in it")
        given = {"status": body.get("status_url"), "result": body.get("response_url"), "cancel": body.get("cancel_url")}
        built = _addresses(account, submission.params["model"], request_id)
        handle = {name: reading.url_or_blank(url) or built[name] for name, url in given.items()}
        return Submitted(request_id, handle=handle)

    def trouble(self, answer: Answer, ticket: Ticket) -> None:
        if not (ticket.cursor and is_about_the_job(answer, has_failed=bool(_seen(ticket)))):
            super().trouble(answer, ticket)

    def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        if ticket.cursor:
            return _result(answer, _seen(ticket))
        if answer.status == 404:
            return self._unknown(answer, ticket)
        body = answer.object()
        status = reading.as_word(body.get("status"))
        if is_done(status):
            return FetchNow(dumps({name: text for name in _SEEN if (text := reading.as_text(body.get(name)))}))
        if status == "not_found":
            return self._unknown(answer, ticket)
        if is_failed(status):
            check_busy(status, reading.first_text(body, ERRORS), after_seconds=self.wait_seconds(answer))
            return failure(body, word=status)
        return Running(status, progress=_progress(body))

    def read_cancel(self, answer: Answer, ticket: Ticket, account: Account) -> Canceled:
        body = answer.object()
        if body.get("success") is True:  # as older pages have it
            return Canceled.REQUESTED
        return _CANCELED.get(reading.as_text(body.get("status")).upper(), Canceled.UNKNOWN)

    def _unknown(self, answer: Answer, ticket: Ticket) -> Unknown:
        reason = self.error_text(answer) or "not found"
        if ticket.handle is None and not _named(ticket.provider_job_id)[0]:
            return Unknown(f"{reason}; fal finds a request by model and id: attach it as MODEL/requests/ID")
        return Unknown(reason)


def _headers(account: Account) -> dict[str, str]:
    return {"Authorization": f"Key {account.api_key}"}


def _in_path(model: str) -> str:
    return "/".join(map(reading.in_path, model.split("/")))


def _addresses(account: Account, model: str, request_id: str) -> dict[str, str]:
    """Where a request is asked about, as fal's own clients build it: without the model's path."""
    parts = model.split("/")
    app = _in_path("/".join(parts[: 3 if parts[0] in ("workflows", "comfy") else 2]))
    result = account.url(f"{f'/{app}' if app else ''}/requests/{reading.in_path(request_id)}")
    return {"status": f"{result}/status", "result": result, "cancel": f"{result}/cancel"}


def _address(ticket: Ticket, account: Account, what: str) -> str:
    """The address of the submit's answer; that of a request which an operator has attached is built."""
    handle = ticket.handle if isinstance(ticket.handle, dict) else {}
    return str(handle.get(what) or _addresses(account, *_named(ticket.provider_job_id))[what])


def _named(provider_job_id: str) -> tuple[str, str]:
    """Model and id of a request that was attached as `MODEL/requests/ID`; no model where it was not."""
    model, _, request_id = provider_job_id.rpartition("/requests/")
    return (model, request_id) if is_model(model) else ("", provider_job_id)


def _progress(body: dict[str, Any]) -> Progress | None:
    position = body.get("queue_position")
    return Progress(position=position) if isinstance(position, int) and not isinstance(position, bool) else None


def _seen(ticket: Ticket) -> dict[str, str]:
    """The words of a completed request's status about its failure; empty where it has not failed."""
    return dict(loads(ticket.cursor))


def _result(answer: Answer, seen: dict[str, str]) -> PollOutcome:
    """The answer of the result's address; a result that comes all the same is taken."""
    if answer.status == 202:
        raise PollFailedError("HTTP 202: the result is not there yet")
    if answer.is_good:
        outcome = output_of(answer.json())
        if not seen or any(media.role != MediaKind.TEXT for media in outcome.outputs):
            return with_cost(outcome, answer)
    if answer.status == 404:
        return failure({}, seen=seen) if seen else Unknown("its result is not there any more")
    return failure(answer.object(), answer=answer, seen=seen)
