"""What the answer to one poll means for its job: a pure function from its outcome to a transition."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bide.contract import Charged, Failure, FailureCause, FailureCode
from bide.errors import AccountRefusedError, ForeignAddressError, PollFailedError, ResultNotFetchedError
from bide.ledger.poll_records import Claimed, Polled
from bide.ledger.records import encode_media
from bide.polling.backoff import RETRY_AFTER_MAX_SECONDS
from bide.polling.timing import PollTiming
from bide.providers.base import Canceled, Failed, JobOutcome, Provider, Running, Succeeded, Unknown
from bide.providers.costs import cost_text

#: What a poll can come to, the failures that are not the job's included.
Heard = JobOutcome | PollFailedError | AccountRefusedError | ForeignAddressError


@dataclass(frozen=True)
class CancelAsked:
    """The provider was asked to stop the job: what it made of that, and what the poll of the same round came to.

    `canceled` is None where the provider can't stop this job; `heard` is None where the job was not polled any more.
    """

    canceled: Canceled | None
    heard: Heard | None = None


PollAnswer = Heard | CancelAsked

#: For how long a result that is made is asked for once the deadline has passed [seconds]: it is paid for.
FETCH_LATE_SECONDS = 900.0

#: When a success without a result is looked at again [seconds]: some providers fill it in later. Over a minute in all.
EMPTY_PAUSES_SECONDS = (5.0, 10.0, 20.0, 30.0)


def judge(claimed: Claimed, answer: PollAnswer, *, adapter: Provider, poll_timing: PollTiming, now: float) -> Polled:
    """Decide how the job goes on. `now` is the ledger's time; this poll is the last of a job past its deadline.

    A success without a result is looked at again even then: it is paid for.
    """
    if isinstance(answer, CancelAsked):
        return _judge_asked(claimed, answer, adapter=adapter, poll_timing=poll_timing, now=now)
    polled = _judge_heard(claimed, answer, adapter=adapter, poll_timing=poll_timing, now=now)
    cost = cost_text(getattr(answer, "cost", None))
    return replace(polled, cost=cost) if cost else polled


def _judge_heard(claimed: Claimed, answer: Heard, *, adapter: Provider, poll_timing: PollTiming, now: float) -> Polled:
    polled = _judge(claimed, answer, adapter=adapter, poll_timing=poll_timing, now=now)
    if claimed.cancel and polled.kind == "failed":
        return _as_canceled(claimed, adapter, polled)
    paid = polled.key == "empties" or "fetching" in polled.also
    if polled.kind in ("running", "trouble") and not paid and now >= claimed.deadline:
        waited = f"the deadline passed while the provider was at work; it last said: {polled.note or 'nothing'}"
        return _stopped(claimed, adapter, claimed.to_stop, waited, note=FailureCode.DEADLINE.value)
    return polled


def _judge_asked(
    claimed: Claimed, asked: CancelAsked, *, adapter: Provider, poll_timing: PollTiming, now: float
) -> Polled:
    """The job is over where it was stopped. Else it goes on: a result that comes all the same is paid for."""
    why = claimed.to_stop or "deadline"
    if asked.canceled is None:
        return _stopped(claimed, adapter, why, "the provider can't stop it; what it has accepted stands and is charged")
    if asked.heard is None:
        return _stopped(claimed, adapter, why, "the provider has stopped it")
    first = claimed.cancel in ("", claimed.to_stop)  # from the first answer on it gets more time
    deadline = max(claimed.deadline, now + 1) if first else claimed.deadline
    known = replace(claimed, cancel=claimed.with_cancel(why, asked.canceled), deadline=deadline)
    polled = judge(known, asked.heard, adapter=adapter, poll_timing=poll_timing, now=now)
    if polled.kind in ("running", "trouble") and known.cancel != claimed.cancel:
        return replace(polled, also={**polled.also, "cancel": known.cancel})
    return polled


def _as_canceled(claimed: Claimed, adapter: Provider, polled: Polled) -> Polled:
    """A job that its provider was asked to stop has ended without a result: that is what was asked for."""
    failure = Failure.model_validate_json(polled.value)
    words = f"the provider was asked to stop it, and says: {failure.message}"
    return _stopped(claimed, adapter, claimed.to_stop, words, note=polled.note, charged=failure.charged)


def _stopped(
    claimed: Claimed, adapter: Provider, why: str, words: str, *, note: str = "", charged: Charged | None = None
) -> Polled:
    """The end of a job by a cancel of its caller (`why`), or by its deadline. `note`: what the poll came to."""
    if why != "canceled":
        failed = _failed(claimed, adapter, FailureCode.DEADLINE, words, charged=charged)
        return replace(failed, note=note or failed.note)
    canceled = _failed(claimed, adapter, FailureCode.CANCELED, f"canceled on request; {words}", charged=charged)
    return replace(canceled, kind="canceled", note=note or canceled.note)


def _judge(claimed: Claimed, answer: Heard, *, adapter: Provider, poll_timing: PollTiming, now: float) -> Polled:
    plan = poll_timing.plan
    match answer:
        case Running():
            return _running(claimed, answer, poll_timing=poll_timing, now=now)
        case Succeeded(outputs):
            if not outputs and adapter.operations[claimed.operation].has_outputs:
                return _empty(claimed, adapter)
            return _succeeded(claimed, answer)
        case Failed():
            return _failed_there(claimed, adapter, answer)
        case Unknown(reason):
            return _unknown(claimed, adapter, plan.after(claimed.polls + 1), reason)
        case ForeignAddressError():
            return _failed(claimed, adapter, FailureCode.PROTOCOL, str(answer))
        case AccountRefusedError():
            return Polled(claimed.job_id, "trouble", plan.cap_seconds, note=str(answer)[:200], seen=claimed.seen)
        case PollFailedError():
            return _trouble(
                claimed, answer, plan.after(claimed.polls + 1, retry_after_seconds=answer.after_seconds), now
            )


def _succeeded(claimed: Claimed, succeeded: Succeeded) -> Polled:
    """The result goes on to be stored; what is missing of it goes into the record along with its addresses."""
    addresses = encode_media(succeeded.outputs)
    also = {"partial": succeeded.partial} if succeeded.partial else {}
    return Polled(claimed.job_id, "ended", value=addresses, note="succeeded", seen=True, also=also)


def _trouble(claimed: Claimed, error: PollFailedError, pause: float, now: float) -> Polled:
    """Asked again. A result that is made is paid for, and asked for past the deadline, too."""
    made = isinstance(error, ResultNotFetchedError)
    paid = made and now < claimed.deadline + FETCH_LATE_SECONDS
    also = {"fetching": str(claimed.fetching + 1)} if paid else {}
    note = str(error)[:200]
    return Polled(claimed.job_id, "trouble", pause, note=note, seen=made or claimed.seen, also=also)


def _running(claimed: Claimed, running: Running, *, poll_timing: PollTiming, now: float) -> Polled:
    """Polled again: by what is known of such jobs or what the provider says of the rest, not before it wants to be."""
    progress = running.progress
    pause = poll_timing.after(
        claimed.polls + 1,
        age_seconds=now - claimed.submitted if claimed.submitted else None,
        estimate_seconds=claimed.estimate_seconds,
        left_seconds=progress.left_seconds if progress else None,
    )
    pause = max(pause, min(running.after_seconds or 0.0, RETRY_AFTER_MAX_SECONDS))
    key = "cursor" if running.cursor != claimed.cursor else ""
    text = progress.to_text() if progress else ""
    news = {"progress": text} if text and text != claimed.progress else {}
    note = running.status[:100]
    return Polled(claimed.job_id, "running", pause, key, running.cursor, note=note, seen=True, also=news)


def ended(answer: PollAnswer) -> bool:
    """Whether the provider reports that the job is over: its duration then counts in the duration model."""
    return isinstance(answer, Succeeded | Failed)


def _empty(claimed: Claimed, adapter: Provider) -> Polled:
    """Success without a result is looked at again for a minute, then it is a failure."""
    if claimed.empties >= len(EMPTY_PAUSES_SECONDS):
        looked = f"{sum(EMPTY_PAUSES_SECONDS):g} s long"
        words = f"the provider reports success but gives no result; it was asked again, {looked}"
        return _failed(claimed, adapter, FailureCode.EMPTY_RESULT, words, retryable=True)
    pause, count = EMPTY_PAUSES_SECONDS[claimed.empties], str(claimed.empties + 1)
    return Polled(claimed.job_id, "running", pause, "empties", count, note="succeeded without a result", seen=True)


def _unknown(claimed: Claimed, adapter: Provider, pause: float, reason: str) -> Polled:
    """A new job may still be on its way through the provider's replicas; and one 404 may be an edge's mistake.

    Only planned pauses count towards the grace, three polls at least: while no poller ran there were none.
    """
    grace = adapter.unknown_grace_seconds
    if claimed.unknown_for >= grace:
        return _failed(claimed, adapter, FailureCode.LOST, f"the provider no longer knows the job: {reason}")
    again = min(pause, grace / 2, max(grace - claimed.unknown_for, 1.0))
    unknown_for = claimed.unknown_for + again
    return Polled(claimed.job_id, "trouble", again, note=reason[:200], unknown_for=unknown_for, seen=claimed.seen)


def _failed_there(claimed: Claimed, adapter: Provider, failed: Failed) -> Polled:
    """The provider made nothing; the same request would end in the same way where its moderation or input is why."""
    moderated = failed.cause is FailureCause.MODERATED
    code = FailureCode.MODERATED if moderated else FailureCode.GENERATION_FAILED
    words = failed.reason or "the provider gave no reason"
    again = failed.cause not in (FailureCause.MODERATED, FailureCause.BAD_INPUT)
    charged = failed.charged or (Charged.UNKNOWN if failed.cause else None)
    return _failed(claimed, adapter, code, words, retryable=again, cause=failed.cause, charged=charged)


def _failed(
    claimed: Claimed,
    adapter: Provider,
    code: FailureCode,
    message: str,
    *,
    retryable: bool = False,
    cause: FailureCause | None = None,
    charged: Charged | None = None,
) -> Polled:
    failure = Failure(
        code=code,
        message=message[:500],
        job_id=claimed.job_id,
        provider=adapter.name,
        provider_job_id=claimed.provider_job_id,
        retryable=retryable,
        cause=cause,
        charged=charged,
    )
    return Polled(claimed.job_id, "failed", value=failure.model_dump_json(), note=code.value, seen=claimed.seen)
