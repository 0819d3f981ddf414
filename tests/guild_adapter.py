"""The adapter of an imaginary provider with each kind of promise about submits; tests play the provider themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from bide.contract import Charged
from bide.errors import UnreadableAnswerError
from bide.polling.backoff import PollPlan
from bide.providers import reading
from bide.providers.base import (
    Absent,
    Account,
    Answer,
    Call,
    Contract,
    Failed,
    FetchNow,
    Found,
    Idempotency,
    InputForm,
    KeyTaken,
    Listed,
    Listing,
    LooksUp,
    Lookup,
    LookupOutcome,
    Operation,
    Params,
    PollOutcome,
    Provider,
    Running,
    Submission,
    SubmitOutcome,
    Submitted,
    Succeeded,
    Ticket,
    Unknown,
)

#: How long the guild remembers a key [seconds].
LIVE_SECONDS = 3600.0

#: What its answers say of a charge.
_CHARGED = {"True": Charged.YES, "False": Charged.NO}


class WorkParams(Params):
    """What is made."""

    motif: str


def _operation(contract: Contract | None, *, buys: bool = True) -> Operation:
    promised = Idempotency(contract, LIVE_SECONDS) if contract else None
    return Operation(params=WorkParams, idempotency=promised, buys=buys)


class GuildAdapter(LooksUp, Provider):
    """Sends the key as a header, and looks it up in two requests."""

    name = "guild"
    default_base_url = "https://api.guild.example/v1"
    source = "https://docs.guild.example"
    shows_after_seconds = 20.0
    listed_operations = frozenset({"none"})
    listed_nameless = frozenset({"pictured"})
    lists_after_seconds = 20.0
    poll_plan = PollPlan(first_seconds=0.5, factor=2.0, cap_seconds=2.0)
    operations: ClassVar = {
        "replay": _operation(Contract.REPLAY),
        "reject": _operation(Contract.REJECT),
        "client_id": _operation(Contract.CLIENT_ID),
        "forgetful": _operation(Contract.CLIENT_ID),
        "free": _operation(None, buys=False),
        "free_by_id": _operation(Contract.CLIENT_ID, buys=False),
        "none": _operation(None),
        "pictured": replace(_operation(Contract.REPLAY), inputs=InputForm.URL),
    }

    def submit_call(self, submission: Submission, account: Account) -> Call:
        headers = {**account.bearer, "Key": submission.key}
        pictures = {name: upload.url for name, upload in submission.inputs.items()}
        return Call(
            "POST", account.url(f"/{submission.operation}"), headers=headers, json={**submission.params, **pictures}
        )

    def key_taken(self, answer: Answer) -> KeyTaken | None:
        if answer.status == 409:
            return KeyTaken("in use", after_seconds=answer.retry_after_seconds)
        return KeyTaken("spoilt", again=False) if answer.status == 410 else None

    def read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        if not (found := reading.as_id(answer.object().get("id"))):
            raise UnreadableAnswerError("no id")
        mark = answer.headers.get("idempotent-replayed")
        return Submitted(found, replayed=None if mark is None else mark == "true")

    def poll_call(self, ticket: Ticket, account: Account) -> Call:
        return Call("GET", account.url(f"/works/{ticket.provider_job_id}"), headers=account.bearer)

    def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        if answer.status == 404:
            return Unknown()
        body = answer.object()
        if body.get("state", "done") == "failed":
            return Failed(reading.as_text(body.get("why")), charged=_CHARGED.get(str(body.get("charged"))))
        if body.get("state", "done") != "done":
            return Running(reading.as_text(body["state"]))
        return Succeeded(reading.all_media(body.get("pictures"), role="image"))

    def list_call(self, since: datetime, until: datetime, account: Account, *, page: str = "") -> Call:
        return Call("GET", account.url("/works"), headers=account.bearer, query={"page": page})

    def read_list(self, answer: Answer) -> Listing:
        body = answer.object()
        return Listing(tuple(map(_listed, body["works"])), reading.as_id(body.get("next")))

    def lookup_call(self, lookup: Lookup, account: Account) -> Call:
        return Call("GET", account.url(f"/{lookup.cursor or 'queue'}/{lookup.key}"), headers=account.bearer)

    def read_lookup(self, answer: Answer, lookup: Lookup, account: Account) -> LookupOutcome:
        ids = [str(each) for each in answer.object()["ids"]]
        if ids:
            return Found(ids[0], handle={"by": "key"}, others=tuple(ids[1:]))
        if not lookup.cursor:
            return FetchNow("history")
        return Absent(proves=lookup.operation != "forgetful")


def _listed(work: dict[str, Any]) -> Listed:
    shown = {"motif": work["motif"]} if "motif" in work else {}
    operation = work.get("operation", "")
    return Listed(work["id"], "done", reading.as_moment(work.get("at")), operation=operation, params=shown)


class QuickGuildAdapter(GuildAdapter):
    """For real processes: a job shows within a second, and is looked for no longer than a test takes."""

    shows_after_seconds = 1.0
    lists_after_seconds = 1.0
    looked_for_seconds = 45.0
