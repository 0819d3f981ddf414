"""How a doubt about a submit is settled, as its provider promises: looked up by its key, or sent again under it."""

from __future__ import annotations

import uuid
from dataclasses import replace

from bide.contract import FailureCode, JobState
from bide.errors import (
    AccountRefusedError,
    ConfigurationError,
    ForeignAddressError,
    InvalidRequestError,
    TryLaterError,
    UnreadableAnswerError,
)
from bide.ledger import Concluded, Record
from bide.ledger.records import BoughtWith
from bide.ledger.settling import LISTING, Doubt, Promise, Settled
from bide.providers.base import (
    Absent,
    Account,
    Answer,
    Contract,
    FetchNow,
    Finished,
    Found,
    KeyTaken,
    LooksUp,
    Lookup,
    Operation,
    Provider,
    Submitted,
)
from bide.providers.exchange import handle_text
from tasks.steps.ask import MOST_HOPS
from tasks.steps.fail import OTHERWISE, canceled, failure_of, lease_lost, redacted
from tasks.steps.outcome import Caller, Fail, Outcome, Suspend
from workers.accounts import AccountContext
from workers.io.destination import confined
from workers.listed import IncompleteListError, match_listed, sending_seconds_of
from workers.metrics.counted import SUBMITS
from workers.metrics.tally import tally
from workers.telemetry.step_log import note
from workers.toolbox import Toolbox

#: What a question to the provider may raise that says nothing of the job.
NO_WORD = (TryLaterError, AccountRefusedError, ForeignAddressError, InvalidRequestError, ConfigurationError)

#: The contracts whose jobs are looked up before anything is sent again.
LOOKED_UP = (Contract.REJECT, Contract.CLIENT_ID)

#: A job is submitted again so many times because the provider had none; then it is held, whatever a look-up says.
MOST_ABSENT = 2

#: The reason of a job whose request is not the one that may have been accepted.
UNREPEATABLE_REASON = (
    "its submit may have been accepted, and can't be sent again under its key: what would be sent is not the same now "
    "(inputs, the account's key, adapter), or the provider remembers the key no longer"
)

#: HTTP codes with which a gateway may answer for a provider that has not had the request.
NOT_SURELY_RECEIVED = frozenset({408, 425, 429, 499, 502, 503, 504, *range(520, 531)})


def promise_of(tools: Toolbox, context: AccountContext, operation: Operation, record: Record, *, now: float) -> Promise:
    """What settles a doubt about a submit of this job, still without a digest; an empty one where nothing does."""
    adapter = context.adapter
    known = operation.idempotency
    sending_seconds = sending_seconds_of(tools)
    if known is None and operation.buys and context.settles_by_list and record.text("op") in adapter.listed_operations:
        live_seconds = sending_seconds + adapter.lists_after_seconds + adapter.looked_for_seconds
        return Promise(LISTING, live_seconds=live_seconds, sending_seconds=sending_seconds)
    if known is None:
        return Promise(free=not operation.buys, sending_seconds=sending_seconds)
    keeps_key = record.in_doubt and (now < record.number("submit_until") or not record.text("free"))
    return Promise(
        contract="" if known.contract in LOOKED_UP and not isinstance(adapter, LooksUp) else known.contract.value,
        free=not operation.buys,
        key=record.text("submit_key") if keeps_key else str(uuid.uuid4()),
        live_seconds=max(known.live_seconds - sending_seconds, 0.0),
        sending_seconds=sending_seconds,
        signed_at=record.number("submit_signed") if keeps_key else float(int(now)),
    )


def settle(tools: Toolbox, record: Record, token: str, *, now: float) -> Outcome | str:
    """What becomes of a settling job; text where it is to be sent: why it was not accepted, '' where that is open.

    Where its provider can be asked for the job by its key, it is: before anything is sent again.
    """
    if record.text("contract") == LISTING:
        return settle_by_list(tools, record, token, now=now)
    key_lives, free = now < record.number("submit_until"), bool(record.text("free"))
    if not (key_lives or free):
        return held(tools, record, token, "its submit may have been accepted; its key has lived too long to be used")
    looks_up = key_lives and record.text("contract") in LOOKED_UP
    if not looks_up and record.text("cancel"):
        return held(tools, record, token, "it was canceled while it was submitted, and may have been accepted")
    if not looks_up:
        return ""
    try:
        account = tools.accounts.get(record.account)
        if not isinstance(account.adapter, LooksUp):
            return held(tools, record, token, "its submit may have been accepted; its provider can't be asked any more")
        credentials = account.credentials_at(record.text("base_url"))
        found = look_up(tools, account.adapter, credentials, record)
    except NO_WORD as error:
        after_seconds = getattr(error, "after_seconds", None) or 0.0
        return unsettled(tools, record, token, f"looked up by its key: {error}", Doubt(after_seconds))
    if isinstance(found, Found):
        return _attach(tools, record, token, found)
    return _absent(
        tools, record, token, found, now - record.number("submit_ends") - account.adapter.shows_after_seconds
    )


def settle_by_list(tools: Toolbox, record: Record, token: str, *, now: float) -> Outcome:
    """Attach the one job on the provider's list that fits; else it is looked for again, and held when the time is up.

    What is not on the list may have been accepted all the same: nothing is sent again.
    """
    try:
        context = tools.accounts.get(record.account)
        if not context.settles_by_list:
            return held(tools, record, token, "its submit may have been accepted; SETTLE is not `listing` any more")
        wait_seconds = record.number("submit_ends") + context.adapter.lists_after_seconds - now
        if wait_seconds > 0:
            return unsettled(tools, record, token, "it may not show on the provider's list yet", Doubt(wait_seconds))
        match = match_listed(tools, record)
    except (*NO_WORD, UnreadableAnswerError, IncompleteListError) as error:
        after_seconds = getattr(error, "after_seconds", None) or 0.0
        return unsettled(tools, record, token, f"looked for on the provider's list: {error}", Doubt(after_seconds))
    if not match.provider_job_id:
        return unsettled(tools, record, token, f"looked for on the provider's list: {match.reason}", Doubt(0.0))
    try:
        attached, messages = tools.ledger.unconfirmed.attach_listed(
            record, match.provider_job_id, evidence=match.reason, token=token
        )
    except InvalidRequestError as error:  # another job was given that id meanwhile
        return unsettled(tools, record, token, f"looked for on the provider's list: {error}", Doubt(0.0))
    if not attached:
        return lease_lost()
    bought_with, attempt = BoughtWith(record.text("base_url"), record.text("adapter")), int(record.number("submits"))
    tools.receipts.accepted(record, attempt, match.provider_job_id, bought_with, outputs="", partial="")
    note(outcome="found", provider_job_id=match.provider_job_id)
    return Suspend(messages)


def look_up(tools: Toolbox, adapter: LooksUp, account: Account, record: Record) -> Found | Absent:
    """What the provider has under a job's key; raises `TryLaterError`, `AccountRefusedError`, `ForeignAddressError`."""
    assert isinstance(adapter, Provider)  # noqa: S101 - for mypy: it is a mix-in of adapters
    lookup = Lookup(record.text("submit_key"), record.text("op"))
    for _ in range(MOST_HOPS + 1):
        call = confined(adapter.lookup_call(lookup, account), adapter, account)
        outcome = adapter.lookup_outcome(tools.event_loop.run(tools.http.call(call, buys=False)), lookup, account)
        if not isinstance(outcome, FetchNow):
            return outcome
        lookup = replace(lookup, cursor=outcome.cursor)
    raise TryLaterError(f"one answer leads to another: {MOST_HOPS} were followed")


def _attach(tools: Toolbox, record: Record, token: str, found: Found) -> Suspend:
    """The provider has the job: it goes on, unless it was bought more than once."""
    pid = found.provider_job_id
    note(outcome="found", provider_job_id=pid)
    ledger, attempt = tools.ledger.submits, int(record.number("submits"))
    bought_with = BoughtWith(record.text("base_url"), record.text("adapter"), handle_text(found.handle))
    tools.receipts.accepted(record, attempt, pid, bought_with, outputs="", partial="")
    settled = Settled(
        f"looked up by its key: the provider has it as {pid}",
        others=found.others,
        breach_error=breach_error(record, pid),
    )
    messages = ledger.submitted(
        record, token, attempt=attempt, provider_job_id=pid, bought_with=bought_with, settled=settled
    )
    return Suspend(messages)


def look_again(tools: Toolbox, adapter: Provider, account: Account, record: Record, provider_job_id: str) -> None:
    """After a submit that was made because the provider had no job under the key: it has this one, and no other."""
    assert isinstance(adapter, LooksUp)  # noqa: S101 - only these are looked up
    try:
        found = look_up(tools, adapter, account, record)
    except (TryLaterError, AccountRefusedError, ForeignAddressError) as error:
        note(reason=f"looked up once more: {error}")
        return
    if isinstance(found, Found):
        for other in {found.provider_job_id, *found.others} - {provider_job_id}:
            note("error", outcome="bought_twice", provider_job_id=other)
            tools.ledger.submits.submitted(record, "", attempt=int(record.number("submits")), provider_job_id=other)


def _absent(tools: Toolbox, record: Record, token: str, absent: Absent, shown_for: float) -> Outcome | str:
    """The provider has no job under the key: that counts once one would have shown, `shown_for` seconds ago."""
    if shown_for < 0:
        reason = "looked up by its key: not there, and it may still show"
        return unsettled(tools, record, token, reason, Doubt(-shown_for))
    if not absent.proves and record.text("free"):
        return "looked up by its key: not there; submitted again, since it costs nothing"
    if not absent.proves:
        reason = "looked up by its key: not there, which proves nothing, since the provider forgets its jobs"
        return held(tools, record, token, reason)
    if record.number("absent") >= MOST_ABSENT:
        return held(tools, record, token, "looked up by its key: not there, again and again")
    return "looked up by its key: surely not there; submitted again under the same key"


def held(tools: Toolbox, record: Record, token: str, reason: str) -> Suspend | Fail:
    """Nothing settles the doubt: an operator does, unless the request allows a second purchase."""
    return unsettled(tools, record, token, reason, Doubt())


def unsettled(
    tools: Toolbox, record: Record, token: str, reason: str, doubt: Doubt, *, sent: bool = False
) -> Suspend | Fail:
    """The submit may have been accepted: its provider's promise settles that later, or its request, or an operator.

    `sent`: by a request that was made just now.
    """
    failure = failure_of(record, FailureCode.SUBMISSION_UNKNOWN, reason)
    doubt = replace(doubt, evidence=doubt.evidence or reason)
    concluded = tools.ledger.jobs.conclude(
        record, token, JobState.UNCONFIRMED, error=failure.model_dump_json(), doubt=doubt
    )
    outcome = "settling" if concluded is Concluded.SETTLING else "unconfirmed"
    if sent:
        tally.count(record.account, SUBMITS, outcome)
    note("warning", outcome=outcome, code=failure.code.value, reason=redacted(record, reason))
    if concluded:
        return Fail(record.with_tried(failure), Caller.of(record))
    note(outcome=OTHERWISE[concluded])
    if concluded is Concluded.CANCELED:  # it costs nothing, so that nobody looks for it
        return canceled(record, failure)
    return Suspend(tools.ledger.accounts.admit(record.account))


def settled_by(record: Record, accepted: Submitted | Finished) -> Settled | None:
    """How an accepted submit settles the doubt about an earlier one; None where there is none."""
    if not record.in_doubt:
        return None
    pid = accepted.provider_job_id
    if record.text("free"):
        return Settled(f"submitted again, since it costs nothing: the provider has it as {pid}")
    says = {True: ", and had the key before", False: ", and says that the key was new", None: ""}[accepted.replayed]
    new = accepted.replayed is False
    return Settled(
        f"sent again under its key: the provider has it as {pid}{says}",
        new=new,
        breach=new and bool(record.text("received")),
        breach_error=breach_error(record, pid),
    )


def breach_error(record: Record, provider_job_id: str) -> str:
    """The failure of a job whose provider did not keep its promise; the ledger puts what it knows for `{known}`."""
    gave = f"it gave {provider_job_id}, and {{known}} may have been bought, too"
    message = f"the provider promised that a key buys once: {gave}"
    return failure_of(record, FailureCode.SUBMISSION_UNKNOWN, message).model_dump_json()


def doubt_of(attempt: int, reason: str, answer: Answer | None, taken: KeyTaken | None) -> Doubt:
    """What is known of a submit that may have been accepted; `taken`: its key was known to the provider."""
    evidence = f"attempt {attempt}: {reason}"
    if taken is not None:
        return Doubt((taken.after_seconds or 0.0) if taken.again else None, received=True, evidence=evidence)
    if answer is None:
        return Doubt(0.0, evidence=evidence)
    received = answer.status not in NOT_SURELY_RECEIVED
    return Doubt(answer.retry_after_seconds or 0.0, received=received, evidence=evidence)
