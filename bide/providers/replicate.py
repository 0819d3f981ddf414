"""Replicate's predictions: any of its models; files and text come out as JSON of any shape.

Facts that its pages leave open, and what is made of them where money hangs on it:

- A submit answered by a 5xx may be accepted: there is no idempotency key, so it is never repeated by itself. The list
  of recent predictions helps an operator; it can't tell two equal inputs apart.
- A failed prediction may be charged: unknown. A canceled one is charged for its time, an aborted one never started.
- What a prediction cost is never in an answer.
- Files lie on `replicate.delivery`, which is open in practice: the key goes to the origin of the base URL alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from bide.contract import Charged, FailureCause
from bide.errors import SubmissionUnknownError, UnreadableAnswerError
from bide.params.replicate import Predict
from bide.providers import reading
from bide.providers.any_model import KINDS, input_of, output_of
from bide.providers.base import (
    Account,
    Answer,
    Asked,
    Call,
    Canceled,
    Cancels,
    Failed,
    InputForm,
    Listed,
    Listing,
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
from bide.providers.listing import is_alike
from bide.providers.moderation import is_moderated
from bide.providers.refusal import check_busy, is_rate_limit
from bide.providers.states import is_done, is_failed, no_reason

#: A prediction holds its logs, and may hold files as data URIs.
MAX_ANSWER_BYTES = 64 * 1024 * 1024

#: How much of the end of the logs is looked at for a percentage [characters].
LOG_CHARACTERS = 4000

#: A progress bar in a log, as tqdm draws it.
_PERCENT = re.compile(r"(?<![\d.])(\d{1,3})%\s?\|")


class Replicate(Cancels, Provider):
    """Official models by name, versions by id, deployments by name; one record for all."""

    name = "replicate"
    default_base_url = "https://api.replicate.com/v1"
    hosts = ("api.replicate.com",)
    operations: ClassVar[Mapping[str, Operation]] = {
        "predict": Operation(params=Predict, inputs=InputForm.URL, kinds=KINDS, deadline_seconds=3600.0),
    }
    poll_plan = PollPlan(first_seconds=2.0, factor=1.5, cap_seconds=20.0)
    #: Input, output and logs of a prediction are removed an hour after its end.
    results_live_seconds = 3600.0
    listed_operations = frozenset({"predict"})
    error_fields = ("detail", "title", "error", "message")
    source = "https://replicate.com/docs/reference/http"

    def lane(self, operation: str, params: Mapping[str, Any]) -> str:
        return reading.as_text(params.get("model") or params.get("version") or params.get("deployment"))

    def media_headers(self, account: Account) -> Mapping[str, str]:
        return account.bearer

    def submit_call(self, submission: Submission, account: Account) -> Call:
        more = {name: value for name, value in submission.params.items() if name not in ("model", "deployment")}
        body = {**_hook(submission, account), **more, "input": input_of(submission)}
        return Call("POST", account.url(_path(submission.params)), headers=account.bearer, json=body)

    def poll_call(self, ticket: Ticket, account: Account) -> Call:
        url = _address(ticket, account, "get")
        return Call("GET", url, headers=account.bearer, max_answer_bytes=MAX_ANSWER_BYTES)

    def cancel_call(self, ticket: Ticket, account: Account) -> Call | None:
        return Call("POST", _address(ticket, account, "cancel"), headers=account.bearer)

    def list_call(self, since: datetime, until: datetime, account: Account, *, page: str = "") -> Call:
        query = {"created_after": reading.rfc3339(since), "created_before": reading.rfc3339(until)} | (
            {"cursor": page} if page else {}
        )
        return Call("GET", account.url("/predictions"), headers=account.bearer, query=query)

    def may_be(self, listed: Listed, asked: Asked) -> bool:
        """A model is listed by its name, a version by its id or as "hidden"; the input as it was sent, for an hour."""
        found, params = listed.params, asked.params
        version = reading.as_text(params.get("version")).rpartition(":")[2]
        if params.get("model") and found.get("model") not in (None, params["model"]):
            return False
        if version and "/" not in version and found.get("version") not in (None, "hidden", version):
            return False
        if "/" in version and found.get("model") not in (None, version):
            return False
        sent, shown = params.get("input") or {}, found.get("input")
        if not isinstance(shown, dict):
            return True
        return shown.keys() - asked.input_names == sent.keys() - asked.input_names and all(
            _is_asked(shown[name], value) for name, value in sent.items() if name in shown
        )

    def wait_seconds(self, answer: Answer) -> float | None:
        return answer.retry_after_seconds or reading.retry_after(answer)

    def refusal(self, answer: Answer) -> Refused | None:
        if answer.status == 503:  # nothing says that no prediction was made
            raise SubmissionUnknownError("the provider answered HTTP 503; the job may have been accepted")
        return super().refusal(answer)

    def read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        """Whatever its status says: an answer that waited for the end is known to be wrong about it."""
        body = answer.object()
        if prediction_id := reading.as_id(body.get("id")):
            return Submitted(prediction_id, handle=_handle(body.get("urls")))
        raise UnreadableAnswerError("there is no id in it")

    def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        if answer.status == 404:
            return Unknown(self.error_text(answer) or "HTTP 404")
        body = answer.object()
        status = reading.as_word(body.get("status"))
        if status == "succeeded" or (is_done(status) and body.get("output")):
            return _succeeded(body)
        if is_failed(status):
            reason = reading.as_text(body.get("error"))
            check_busy(status, reason, after_seconds=self.wait_seconds(answer))
            return _failed(status, reason)
        return Running(status, progress=_progress(body.get("logs")))

    def read_cancel(self, answer: Answer, ticket: Ticket, account: Account) -> Canceled:
        """The prediction as it stands now."""
        status = reading.as_word(answer.object().get("status"))
        if status in ("canceled", "aborted"):
            return Canceled.STOPPED
        if status in ("starting", "processing"):
            return Canceled.REQUESTED
        return Canceled.TOO_LATE if status in ("succeeded", "failed") else Canceled.UNKNOWN

    def read_list(self, answer: Answer) -> Listing:
        body = answer.object()
        jobs = [_listed(entry) for entry in reading.records(body, "results") if reading.as_id(entry.get("id"))]
        return Listing(tuple(jobs), _cursor(body.get("next")))


def _path(params: Mapping[str, Any]) -> str:
    """Where a prediction is made: of a model or deployment by its name, of a version by the body."""
    for kind in ("model", "deployment"):
        if name := params.get(kind):
            return f"/{kind}s/{'/'.join(map(reading.in_path, name.split('/')))}/predictions"
    return "/predictions"


def _hook(submission: Submission, account: Account) -> dict[str, Any]:
    """Where the provider is to call when the job has ended, unless the request wants that call for itself.

    It calls `https` alone, and refuses other addresses.
    """
    if account.hooks is None or submission.params.get("webhook") or not account.hooks.url.startswith("https:"):
        return {}
    return {"webhook": account.hooks.address(submission.job_id), "webhook_events_filter": ["completed"]}


def _handle(urls: Any) -> dict[str, str] | None:
    """The addresses of the submit's answer that later calls need."""
    found = urls if isinstance(urls, dict) else {}
    return {name: url for name in ("get", "cancel") if (url := reading.url_or_blank(found.get(name)))} or None


def _address(ticket: Ticket, account: Account, what: str) -> str:
    """The address of the submit's answer; that of a job which an operator has attached is built."""
    handle = ticket.handle if isinstance(ticket.handle, dict) else {}
    built = account.url(f"/predictions/{reading.in_path(ticket.provider_job_id)}")
    return str(handle.get(what) or (f"{built}/cancel" if what == "cancel" else built))


def _succeeded(body: dict[str, Any]) -> PollOutcome:
    output = body.get("output")
    if output is None and body.get("data_removed") is True:
        reason = "its output was removed before it was fetched: Replicate keeps one for an hour"
        return Failed(reason, FailureCause.EXPIRED, Charged.YES)
    return output_of(output)


def _failed(status: str, reason: str) -> Failed:
    """Models say why in words alone. Only a prediction that never started is surely free."""
    charged = {"canceled": Charged.YES, "aborted": Charged.NO}.get(status, Charged.UNKNOWN)
    if status == "aborted":
        return Failed(reason or "aborted: its deadline passed before it was started", FailureCause.CAPACITY, charged)
    if is_moderated(reason):
        return Failed(reason, FailureCause.MODERATED, charged)
    cause = FailureCause.CAPACITY if is_rate_limit(reason) else None
    return Failed(reason or no_reason(status), cause, charged)


def _progress(logs: Any) -> Progress | None:
    """The last percentage of a progress bar in the logs; other lines may quote the prompt and are left alone."""
    found = _PERCENT.findall(logs[-LOG_CHARACTERS:]) if isinstance(logs, str) else []
    return Progress(fraction=min(int(found[-1]), 100) / 100) if found else None


def _cursor(following: Any) -> str:
    """Where the next page begins, out of its address; empty where there is none."""
    try:
        query = urlsplit(following).query if isinstance(following, str) else ""
    except ValueError:
        return ""
    return reading.as_id(parse_qs(query).get("cursor", [""])[0])


def _listed(entry: dict[str, Any]) -> Listed:
    return Listed(
        reading.as_id(entry["id"]),
        reading.as_text(entry.get("status")).lower(),
        reading.as_moment(entry.get("created_at")),
        reading.as_text(entry.get("model")) or reading.as_text(entry.get("version")),
        prompt=reading.prompt(entry),
        params={name: entry[name] for name in ("model", "version", "input") if entry.get(name)},
    )


def _is_asked(listed: Any, asked: Any) -> bool:
    """Whether an input may be the one that was sent; files are shown in other forms than they came in."""
    is_file = isinstance(asked, str) and asked.startswith(("data:", "http:", "https:"))
    return is_file or (is_alike(listed, asked) if not isinstance(asked, dict | list) else True)
