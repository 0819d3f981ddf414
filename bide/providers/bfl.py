"""Black Forest Labs: one path for each model; the answer to a submit names the address that is polled.

Not stated in its pages, and taken on the careful side here: whether a moderated job is charged (unknown); `cost` beside
the id (taken for the price where it is a positive number); how soon an id is known everywhere (it is looked for, for a
minute). No call cancels a job or lists jobs. An account's webhook is not asked for: answers to such submits were seen
without the address to poll, and another region may not know the id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bide.contract import Charged, FailureCause
from bide.errors import InvalidRequestError, UnreadableAnswerError
from bide.params import bfl as models
from bide.params.base import Params
from bide.providers import reading
from bide.providers.base import (
    MAX_CURSOR_CHARACTERS,
    Account,
    Answer,
    Call,
    Cost,
    Failed,
    FetchNow,
    InputForm,
    Media,
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
)
from bide.providers.costs import as_cost
from bide.providers.refusal import check_busy, is_not_found
from bide.providers.states import is_done, is_failed, no_reason

#: The unit of `cost`; one is 0.01 USD.
CREDITS = "credits"

#: Of which one must be there, as a param or as a picture in `inputs`.
_NEEDED = {
    "flux-pro-1.0-fill": ("image",),
    **dict.fromkeys(("flux-pro-1.1", "flux-pro-1.1-ultra", "flux-dev"), ("prompt", "image_prompt")),
}

_VIDEO_PLAN = PollPlan(first_seconds=10.0, factor=1.5, cap_seconds=30.0)


def _editing(model: type[Params], *pictures: str) -> Operation:
    return Operation(params=model, inputs=InputForm.BASE64, allowed_inputs=frozenset(pictures))


class BFL(Provider):
    """POST `/v1/{model}`, then GET the answer's `polling_url`; its `sample` is an address that lives for minutes."""

    name = "bfl"
    default_base_url = "https://api.bfl.ai"
    hosts = ("*.bfl.ai",)
    operations: ClassVar[Mapping[str, Operation]] = {
        "flux-2-max": _editing(models.Flux2Max, *models.REFERENCES),
        "flux-2-pro": _editing(models.Flux2Pro, *models.REFERENCES),
        "flux-2-flex": _editing(models.Flux2Flex, *models.REFERENCES),
        "flux-2-klein-4b": _editing(models.Flux2Klein4B, *models.REFERENCES[:4]),
        "flux-2-klein-9b": _editing(models.Flux2Klein9B, *models.REFERENCES[:4]),
        "flux-kontext-pro": _editing(models.FluxKontextPro, *models.REFERENCES[:4]),
        "flux-kontext-max": _editing(models.FluxKontextMax, *models.REFERENCES[:4]),
        "flux-pro-1.1": _editing(models.FluxPro11, "image_prompt"),
        "flux-pro-1.1-ultra": _editing(models.FluxPro11Ultra, "image_prompt"),
        "flux-pro-1.0-fill": _editing(models.FluxProFill, "image", "mask"),
        "flux-dev": _editing(models.FluxDev, "image_prompt"),
        "flux-3-video": Operation(params=models.Flux3Video, poll_plan=_VIDEO_PLAN),
        "generate": Operation(params=models.Generate, inputs=InputForm.BASE64),
    }
    poll_plan = PollPlan(first_seconds=2.0, factor=1.5, cap_seconds=15.0)
    #: A later poll gives the same address, which is dead by then.
    results_live_seconds = 600.0
    unknown_grace_seconds = 60.0
    error_fields = ("message", "detail", "error")
    source = "https://docs.bfl.ai/api-reference"

    def check(self, operation: str, params: Mapping[str, Any], input_names: set[str]) -> Operation:
        known = super().check(operation, params, input_names)
        needed = _NEEDED.get(operation, ())
        if needed and not any(params.get(name) or name in input_names for name in needed):
            raise InvalidRequestError(f"params.{' or params.'.join(needed)}: is required; a picture may be in inputs")
        return known

    def lane(self, operation: str, params: Mapping[str, Any]) -> str:
        return str(params.get("model", "")) if operation == "generate" else ""

    def submit_call(self, submission: Submission, account: Account) -> Call:
        pictures = {name: upload.base64 for name, upload in submission.inputs.items()}
        body = {**submission.params, **pictures}
        model = body.pop("model") if submission.operation == "generate" else submission.operation
        return Call("POST", account.url(f"/v1/{reading.in_path(model)}"), headers=_headers(account), json=body)

    def poll_call(self, ticket: Ticket, account: Account) -> Call:
        handle = ticket.handle if isinstance(ticket.handle, dict) else {}
        if address := ticket.cursor or handle.get("polling_url"):
            return Call("GET", address, headers=_headers(account))
        query = {"id": ticket.provider_job_id}
        return Call("GET", account.url("/v1/get_result"), headers=_headers(account), query=query)

    def trouble(self, answer: Answer, ticket: Ticket) -> None:
        if not _redirect(answer):
            super().trouble(answer, ticket)

    def wait_seconds(self, answer: Answer) -> float | None:
        return reading.retry_after(answer) or answer.retry_after_seconds

    def read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        body = answer.object()
        job_id = reading.as_id(body.get("id"))
        if not job_id:
            raise UnreadableAnswerError("there is no id in it")
        return Submitted(job_id, handle=_handle(body), cost=_cost(body))

    def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        if address := _redirect(answer):
            return FetchNow(address)
        if answer.status == 404:
            return Unknown(self._why(answer) or "HTTP 404")
        body = answer.object()
        status = reading.as_word(body.get("status"))
        if is_not_found(status):
            return Unknown(status)
        if is_failed(status):
            return self._failed(status, answer)
        outputs = _outputs(body.get("result")) if is_done(status) else ()
        if outputs or status == "ready":
            return Succeeded(outputs)
        fraction = reading.as_positive(body.get("progress"))
        return Running(status, progress=Progress(fraction=min(fraction, 1.0)) if fraction else None)

    def _failed(self, status: str, answer: Answer) -> Failed:
        reason = self._why(answer)
        if "moderated" in status:
            words = f"{status}: {reason}" if reason else status
            return Failed(words, FailureCause.MODERATED, Charged.UNKNOWN)
        check_busy(status, reason, after_seconds=self.wait_seconds(answer))
        return Failed(reason or no_reason(status))

    def _why(self, answer: Answer) -> str:
        """The reason in an answer to a poll; its `result` repeats the prompt."""
        try:
            body = answer.object()
        except UnreadableAnswerError:
            return ""
        return reading.first_text(body, (*self.error_fields, "details"))


def _headers(account: Account) -> dict[str, str]:
    return {"x-key": account.api_key}


def _redirect(answer: Answer) -> str:
    """Where a poll is sent on to, as its pages say that it may be: to the region that has the job; '' for nowhere."""
    if answer.status not in (301, 302, 303, 307, 308):
        return ""
    address = reading.url_or_blank(answer.headers.get("location"))
    return address if len(address) <= MAX_CURSOR_CHARACTERS else ""


def _handle(body: dict[str, Any]) -> dict[str, str] | None:
    """Where to poll; None where the answer does not say: then the id is asked for at the base URL."""
    address = reading.url_or_blank(body.get("polling_url"))
    return {"polling_url": address} if address else None


def _cost(body: dict[str, Any]) -> Cost | None:
    cost = as_cost(body.get("cost"), CREDITS)
    return cost if cost and cost.amount else None


def _outputs(result: Any) -> tuple[Media, ...]:
    """What the `sample` of a result leads to; drafts of a video are several."""
    sample = result.get("sample") if isinstance(result, dict) else None
    return tuple(map(reading.by_suffix, reading.all_media(sample, role="image")))
