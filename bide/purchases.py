"""What receipts and `job.json`s say of each job: where it stood, as far as that is known without the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from bide.contract import FailureCode, GenerateRequest, JobResult, JobState, object_key
from bide.ledger import AccountName
from bide.ledger.failures import error_of
from bide.ledger.jobs import DEFAULT_DEADLINE_SECONDS
from bide.ledger.records import BoughtWith
from bide.ledger.recovery import Lost, new_fields
from bide.money.amounts import millionths
from bide.receipts import Accepted, Attempt, Ended, Intent, NotAccepted, Receipt

#: What the caller of a job hears whose submit was under way when the ledger was lost.
IN_DOUBT = "the ledger was lost while it was submitted; the provider may have accepted"

#: The note of a record that was made anew, by where the job is known from.
BY_RECEIPT = "taken up from its receipt, after the ledger was lost"
BY_RESULT = "taken up from its job.json, after the ledger was lost"

#: Metadata of a `job.json` by which its record is made again: the account, the fingerprint of the request, and the key
#: in Redis of its idempotency key.
ACCOUNT, FINGERPRINT, IDEMPOTENCY = "bide-account", "bide-fingerprint", "bide-idempotency"

Key = tuple[str, str, int]


@dataclass
class Receipted:
    """All receipts of one job."""

    intents: list[Intent] = field(default_factory=list)
    accepted: dict[Key, Accepted] = field(default_factory=dict)
    not_accepted: dict[Key, NotAccepted] = field(default_factory=dict)
    ended: Ended | None = None

    def add(self, receipt: Receipt) -> None:
        """Take one in, in any order."""
        match receipt:
            case Intent():
                self.intents.append(receipt)
            case Accepted():
                self.accepted[_key(receipt)] = receipt
            case NotAccepted():
                self.not_accepted[_key(receipt)] = receipt
            case Ended() if self.ended is None or self.ended.at < receipt.at:
                self.ended = receipt

    @property
    def last(self) -> Intent:
        """The intent of its last submit."""
        return max(self.intents, key=lambda intent: (float(intent.record.get("intended") or intent.at), intent.at))

    @property
    def bought(self) -> bool:
        """Whether a submit of it was accepted, or may have been."""
        last = self.last
        if any(each.account == last.account for each in self.accepted.values()):
            return True
        doubtful = any(last.record.get(name) for name in ("again", "resubmitted", "doubted"))
        return doubtful or _key(last) not in self.not_accepted


def by_job(receipts: Iterable[Receipt]) -> dict[str, Receipted]:
    """The receipts of each job of which there is an intent."""
    jobs: dict[str, Receipted] = {}
    for receipt in receipts:
        jobs.setdefault(receipt.job_id, Receipted()).add(receipt)
    return {job_id: found for job_id, found in jobs.items() if found.intents}


def result_key(intent: Intent) -> str:
    """Where the job's `job.json` lies, once it has succeeded."""
    request = GenerateRequest.model_validate_json(intent.request)
    created = datetime.fromtimestamp(float(intent.record["created"]), UTC)
    return object_key(intent.job_id, "job.json", created_at=created, prefix=request.output_prefix)


def lost_job(found: Receipted, result: JobResult | None, *, reaches: Mapping[tuple[str, str], str]) -> Lost:
    """A job as its receipts, and its result where that is stored, say that it stood.

    `reaches`: until when the ledger's books hold what a statement had (`Recovery.statements_reach`).
    """
    last = found.last
    account, request = AccountName.parse(last.account), GenerateRequest.model_validate_json(last.request)
    known = [each for each in found.accepted.values() if each.account == last.account]
    own = found.accepted.get(_key(last)) or max(known, key=lambda each: each.at, default=None)
    others = {each.provider_job_id for each in known} | set(last.record.get("other_pid", "").split())
    lost = Lost(
        last.job_id,
        account,
        JobState.UNCONFIRMED,
        _booked(last, found, result, reaches),
        request,
        last.attempt,
        signature=last.signature,
        note=BY_RECEIPT,
        value=error_of(account, FailureCode.SUBMISSION_UNKNOWN, IN_DOUBT, job_id=last.job_id),
    )
    if own is not None:
        bought_with = BoughtWith(own.base_url, own.adapter, own.handle, own.cost)
        lost = replace(
            lost,
            state=JobState.STORING if own.outputs else JobState.RUNNING,
            accepted=True,
            provider_job_id=own.provider_job_id,
            others=tuple(sorted(others - {own.provider_job_id, ""})),
            bought_with=bought_with,
            outputs=own.outputs,
            partial=own.partial,
            value="",
        )
    if result is not None:
        given = result.provider_job_id or lost.provider_job_id
        return replace(
            lost,
            state=JobState.SUCCEEDED,
            accepted=True,
            provider_job_id=given,
            others=tuple(sorted(others - {given, ""})),
            bought_with=replace(lost.bought_with, cost=_cost_text(result) or lost.bought_with.cost),
            value=result.model_dump_json(),
            note=BY_RESULT,
        )
    if found.ended is not None and found.ended.at >= last.at:
        refused = own is None and _key(last) in found.not_accepted
        return replace(lost, state=JobState(found.ended.state), refused=refused, value=found.ended.error)
    return lost


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
        idem=about.get(IDEMPOTENCY, ""),
        note=BY_RESULT,
    )


def _key(attempt: Attempt) -> Key:
    return attempt.ledger, attempt.account, attempt.attempt


def _booked(
    last: Intent, found: Receipted, result: JobResult | None, reaches: Mapping[tuple[str, str], str]
) -> dict[str, str]:
    """The fields of the record, with what the books hold of its purchases by now.

    A statement had a purchase that was begun before it was written. What it had as reserved counts as spent since its
    book was made again.
    """
    fields = dict(last.record)
    lines = []
    for line in filter(None, fields.get("booked", "").split(";")):
        attempts, at, price, kind, amount, row, budgets = line.split(" ")
        day = datetime.fromtimestamp(float(at), UTC).date().isoformat()
        reached = _moment(reaches.get((day, last.account), ""))
        if float(at) > reached:
            kind, amount = "n", "0"
        elif str(last.attempt) in attempts.split(","):
            refused = found.not_accepted.get(_key(last))
            if refused is not None and refused.at <= reached:
                continue
            kind, amount = _in_statement(last, found, result, reached, price)
        elif kind == "r":
            kind, amount = ("n", "0") if price == "?" else ("a", price)
        lines.append(" ".join((attempts, at, price, kind, amount, row, budgets)))
    return fields | ({"booked": ";".join(lines)} if "booked" in fields else {})


def _in_statement(
    last: Intent, found: Receipted, result: JobResult | None, reached: float, price: str
) -> tuple[str, str]:
    """How a statement that was written at a moment had the last purchase: its kind, and the amount in millionths."""
    ended, accepted = found.ended, found.accepted.get(_key(last))
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
