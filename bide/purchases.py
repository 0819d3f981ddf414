"""What receipts and `job.json`s say of each job: where it stood, as far as that is known without the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from bide.contract import FailureCode, GenerateRequest, JobResult, JobState, object_key
from bide.ledger import AccountName
from bide.ledger.failures import error_of
from bide.ledger.jobs import DEFAULT_DEADLINE_SECONDS
from bide.ledger.records import BoughtWith
from bide.ledger.recovery import Lost, new_fields
from bide.ledger.words import as_word, ids_in, unknown_id
from bide.money.amounts import millionths
from bide.receipted import Receipted, fallback, intended, key_of
from bide.receipts import LEFT_OUT, Accepted, Ended, Intent

#: What the caller of a job hears whose submit was under way when the ledger was lost.
IN_DOUBT = "the ledger was lost while it was submitted; the provider may have accepted"

#: The note of a record that was made anew, by where the job is known from.
BY_RECEIPT = "taken up from its receipt, after the ledger was lost"
BY_RESULT = "taken up from its job.json, after the ledger was lost"

#: A warning of a result whose objects are gone: their days have passed, or they were removed.
GONE = "it has succeeded, and its objects are gone since; its ledger was lost, so nothing names them any more"

#: What the keys of idempotency keys begin with, in Redis.
IDEMPOTENCY_KEYS = "bide:idem:"

#: Metadata of a `job.json` by which its record is made again: the account, the fingerprint of the request, and the key
#: in Redis of its idempotency key.
ACCOUNT, FINGERPRINT, IDEMPOTENCY = "bide-account", "bide-fingerprint", "bide-idempotency"


def result_key(intent: Intent) -> str:
    """Where the job's `job.json` lies, once it has succeeded."""
    request = GenerateRequest.model_validate_json(intent.request)
    created = datetime.fromtimestamp(float(intent.record["created"]), UTC)
    return object_key(intent.job_id, "job.json", created_at=created, prefix=request.output_prefix)


def lost_job(
    found: Receipted, result: JobResult | None, *, reaches: Mapping[tuple[str, str], str], unread: bool = False
) -> Lost:
    """A job as its receipts, and its result where that is stored, say that it stood.

    `reaches`: until when the ledger's books hold what a statement had (`Recovery.statements_reach`).
    `unread`: its `job.json` is there, and can't be read. Then it is polled again, and waits for a recovery that can.
    """
    story, ended = found.story, found.ended
    intent, own = story.intent, story.accepted
    if result is None and ended is not None and ended.account != intent.account:
        intent, own = story.newest, None
    lost = _as_bought(found, intent, own, _booked(intent, found, result, reaches, ended))
    lost = replace(lost, intended=intended(story.newest), reached=fallback(story.newest))
    lost = replace(lost, left=dict(_left(found, lost.account, reaches)))
    if result is not None:
        given = result.provider_job_id or lost.provider_job_id
        return replace(
            lost,
            state=JobState.SUCCEEDED,
            accepted=True,
            provider_job_id=given,
            others=tuple(sorted({*lost.others, lost.provider_job_id} - {given, ""})),
            bought_with=replace(lost.bought_with, cost=_cost_text(result) or lost.bought_with.cost),
            value=result.model_dump_json(),
            note=BY_RESULT,
        )
    if unread and (ended is None or ended.state == "succeeded"):
        return replace(lost, fields={**lost.fields, "unread": "1"})
    if ended is not None and ended.state == "succeeded":
        gone = _without_outputs(lost, ended)
        return replace(lost, state=JobState.SUCCEEDED, accepted=True, value=gone.model_dump_json(), called_back=True)
    if ended is not None:
        refused = own is None and key_of(intent) in found.not_accepted
        return replace(lost, state=JobState(ended.state), refused=refused, value=ended.error)
    return lost


def _as_bought(found: Receipted, intent: Intent, own: Accepted | None, fields: Mapping[str, str]) -> Lost:
    """The job as a submit says it, and how that was accepted, if it was; further purchases of it are named."""
    account, request = AccountName.parse(intent.account), GenerateRequest.model_validate_json(intent.request)
    others, elsewhere = set(ids_in(intent.record.get("other_pid", ""))), [*filter(None, [fields.get("elsewhere")])]
    for each in found.further():
        if each.account == intent.account:
            others.add(each.provider_job_id)
        elif each.provider_job_id:
            elsewhere.append(f"{each.account} as {as_word(each.provider_job_id)}")
    elsewhere += [f"{each.account} as {unknown_id(intended(each))}" for each in found.further_doubts()]
    lost = Lost(
        intent.job_id,
        account,
        JobState.UNCONFIRMED,
        {**fields, **({"elsewhere": "; ".join(dict.fromkeys(elsewhere))} if elsewhere else {})},
        request,
        intent.attempt,
        others=tuple(sorted(others - {""})),
        signature=intent.signature,
        note=BY_RECEIPT,
        value=error_of(account, FailureCode.SUBMISSION_UNKNOWN, IN_DOUBT, job_id=intent.job_id),
    )
    if own is None:
        return lost
    return replace(
        lost,
        state=JobState.STORING if own.outputs else JobState.RUNNING,
        accepted=True,
        provider_job_id=own.provider_job_id,
        others=tuple(each for each in lost.others if each != own.provider_job_id),
        bought_with=BoughtWith(own.base_url, own.adapter, own.handle, own.cost),
        outputs=own.outputs,
        partial=own.partial,
        value="",
    )


def _without_outputs(lost: Lost, ended: Ended) -> JobResult:
    """The result of a job that has succeeded, and whose objects are gone."""
    return JobResult(
        job_id=lost.job_id,
        provider=lost.account.provider,
        operation=lost.fields.get("op", ""),
        provider_job_id=lost.provider_job_id or None,
        polls=0,
        finished_at=datetime.fromtimestamp(ended.at, UTC),
        outputs=(),
        warnings=(GONE,),
        metadata=lost.request.metadata,
    )


def lost_result(result: JobResult, about: Mapping[str, str], account: AccountName) -> Lost:
    """A job of which no receipt is known, by its `job.json` and the metadata of that object."""
    request = GenerateRequest(
        provider=account.provider, operation=result.operation, account=account.account, metadata=result.metadata
    )
    created = (result.submitted_at or result.finished_at).timestamp()
    fields = new_fields(request, lane="", created=created, deadline_seconds=DEFAULT_DEADLINE_SECONDS)
    return Lost(
        result.job_id,
        account,
        JobState.SUCCEEDED,
        fields | {"fp": about.get(FINGERPRINT, "")},
        request,
        1,
        accepted=True,
        provider_job_id=result.provider_job_id or "",
        value=result.model_dump_json(),
        idem=key if (key := about.get(IDEMPOTENCY, "")).startswith(IDEMPOTENCY_KEYS) else "",
        note=BY_RESULT,
    )


def _left(
    found: Receipted, account: AccountName, reaches: Mapping[tuple[str, str], str]
) -> Iterator[tuple[AccountName, dict[str, str]]]:
    """The records that the job left at other accounts which had accepted it, each as it stood when it went on."""
    for each in found.left():
        at = AccountName.parse(each.intent.account)
        if at == account:
            continue
        failure = {"code": each.code, "charged": "yes" if each.charged else "no"}
        error = json.dumps(failure, separators=(",", ":"))
        ended = Ended(job_id=each.intent.job_id, account=str(at), at=each.at, state="failed", error=error)
        fields = _booked(each.intent, found, None, reaches, ended)
        cost = {"cost": each.cost} if each.cost else {}
        yield at, {**fields, "state": "failed", "pid": each.provider_job_id, "error": error, **cost}


def _booked(
    last: Intent,
    found: Receipted,
    result: JobResult | None,
    reaches: Mapping[tuple[str, str], str],
    ended: Ended | None,
) -> dict[str, str]:
    """The fields of the record, with what the books hold of its purchases by now.

    A statement had a purchase that was begun before it was written. What it had as reserved counts as spent since its
    book was made again.
    """
    fields = {name: value for name, value in last.record.items() if name not in LEFT_OUT}
    lines = []
    for line in filter(None, fields.get("booked", "").split(";")):
        attempts, at, price, kind, amount, row, budgets = line.split(" ")
        day = datetime.fromtimestamp(float(at), UTC).date().isoformat()
        reached = _moment(reaches.get((day, last.account), ""))
        if float(at) > reached:
            kind, amount = "n", "0"
        elif str(last.attempt) in attempts.split(","):
            refused = found.not_accepted.get(key_of(last))
            if refused is not None and refused.at <= reached:
                continue
            kind, amount = _in_statement(last, found, result, reached, price, ended)
        elif kind == "r":
            kind, amount = ("n", "0") if price == "?" else ("a", price)
        lines.append(" ".join((attempts, at, price, kind, amount, row, budgets)))
    return fields | ({"booked": ";".join(lines)} if "booked" in fields else {})


def _in_statement(
    last: Intent, found: Receipted, result: JobResult | None, reached: float, price: str, ended: Ended | None
) -> tuple[str, str]:
    """How a statement that was written at a moment had the last purchase: its kind, and the amount in millionths."""
    accepted = found.accepted.get(key_of(last))
    if accepted is None or accepted.at > reached:
        return ("n", "0") if price == "?" else ("a", price)
    if ended and ended.at <= reached and '"charged":"no"' in ended.error:
        return "z", "0"
    cost = accepted.cost
    if result and result.finished_at.timestamp() <= reached:
        cost = _cost_text(result) or cost
    amount, _, unit = cost.partition(" ")
    if unit and unit == last.record.get("currency"):
        return "s", str(millionths(amount, what="cost"))
    return ("u", "0") if price == "?" else ("s", price)


def _cost_text(result: JobResult) -> str:
    """What the provider says that a result cost, as a record has it; '' where it does not say."""
    cost = result.cost
    return f"{cost.amount} {cost.unit}" if cost and cost.source in (None, "provider") else ""


def _moment(text: str) -> float:
    """A moment in ISO 8601, or in seconds as earlier releases noted it; 0 for none."""
    try:
        return float(text or 0)
    except ValueError:
        return datetime.fromisoformat(text).timestamp()
