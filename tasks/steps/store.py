"""The step that brings a result home: download, check, upload, `job.json` last of all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from bide.contract import FailureCode, JobResult, JobState, Output
from bide.crashpoints import reached
from bide.errors import (
    AccountRefusedError,
    BadMediaError,
    BideError,
    ForeignAddressError,
    InvalidRequestError,
    StorageError,
    TryLaterError,
)
from bide.ledger import Record
from bide.ledger.charges import cost_of
from bide.ledger.records import LEFT_OUT, UNCHECKED
from bide.ledger.unconfirmed import purchase_warnings
from bide.polling.backoff import Backoff
from bide.providers import find
from bide.retention import UNTAGGED
from bide.storage_tags import put_tagged
from tasks.steps.fail import fail, lease_lost, redacted
from tasks.steps.home import MAX_OUTPUTS, Home, bring_home, document_metadata_of, key_of, retention_days
from tasks.steps.outcome import Answer, Caller, Outcome, Suspend
from workers.metrics.counted import JOB_SECONDS, STORED_BYTES, STORED_OBJECTS, STORES
from workers.metrics.tally import tally
from workers.services.lease_keeper import Lease
from workers.telemetry.step_log import note
from workers.toolbox import Toolbox

log = structlog.get_logger()

#: When a store step is tried again: after 2 seconds, doubled each time, 45 at most.
STORE_BACKOFF = Backoff(first_seconds=2.0, factor=2.0, cap_seconds=45.0)

#: How often a file that is no picture is fetched anew, over 14 s: an edge under load answers 200 with a page, too.
BAD_MEDIA_TRIES = 3

#: The most stored outputs that a failure names.
MOST_NAMED = 5

#: How much a record says of outputs that are missing or unchecked [characters].
MAX_REMARK = 1000

#: How long a paid result is fetched for, even when its deadline has passed meanwhile [seconds].
FETCH_AT_LEAST_SECONDS = 900.0


@dataclass(frozen=True)
class Trouble:
    """Why the step could not end the job, and what of the result is stored."""

    error: BideError
    code: FailureCode
    home: Home

    @property
    def reason(self) -> str:
        """The reason for people."""
        stored = len(self.home.stored)
        return f"{self.error}; {stored} of {self.home.wanted} outputs are stored" if stored else str(self.error)

    @property
    def last_words(self) -> str:
        """The reason with the addresses of what is stored: it was paid for."""
        stored = [output.uri for _, output in sorted(self.home.stored.items())]
        more = ", ..." if len(stored) > MOST_NAMED else ""
        return f"{self.reason}: {', '.join(stored[:MOST_NAMED])}{more}" if stored else self.reason


def store(tools: Toolbox, record: Record, token: str, *, now: float) -> Outcome:
    """Store the result of one job under the lease `token`, and end the job; raises `LeaseLostError`."""
    note(attempt=int(record.number("tries")) + 1, waited_seconds=round(now - record.number("ended"), 3))
    home = Home()
    with tools.leases.renewing(record, token) as lease:
        try:
            bring_home(tools, record, lease, home)
            result = _stored(tools, record, lease, home)
        except BadMediaError as error:
            return _bad_media(tools, record, token, now, Trouble(error, FailureCode.BAD_MEDIA, home))
        except InvalidRequestError as error:  # the account's settings went away meanwhile
            return _try_later(tools, record, token, now, Trouble(error, FailureCode.INVALID_REQUEST, home))
        except StorageError as error:
            tools.store_check.doubt()
            return _try_later(tools, record, token, now, Trouble(error, FailureCode.STORAGE, home))
        except ForeignAddressError as error:
            return _give_up(tools, record, token, Trouble(error, FailureCode.PROTOCOL, home))
        except (TryLaterError, AccountRefusedError) as error:
            return _try_later(tools, record, token, now, Trouble(error, FailureCode.BAD_MEDIA, home))
        reached("document_uploaded")
        lease.check()
        wire = result.model_dump_json()
        if not tools.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result=wire, note=_remark(home)):
            return lease_lost()
    reached("end_recorded")
    _count(record, result)
    if unchecked := _unchecked(home):
        note("warning", outputs_unchecked=len(unchecked), reason=unchecked[0])
    if home.left_out:
        note("warning", outputs_left_out=home.left_out)
    if home.partial:
        note("warning", partial=redacted(record, home.partial))
    return Answer(result.to_wire(), Caller.of(record))


def _fetched_until(record: Record) -> float:
    """Until when a result is fetched. Where its adapter or file is gone, the job waits until it is back."""
    ended = record.number("ended")
    try:
        live_seconds = find(record.account.provider).results_live_seconds
    except InvalidRequestError:
        return math.inf
    return min(max(record.number("deadline"), ended + FETCH_AT_LEAST_SECONDS), ended + live_seconds)


def _stored(tools: Toolbox, record: Record, lease: Lease, home: Home) -> JobResult:
    """The result, with its `job.json` in place; raises what kept an output away."""
    result = _result(record, home.outputs, partial=home.partial, untagged=home.untagged)
    reached("objects_uploaded")
    lease.check()
    put_tagged(
        tools.storage,
        key_of(record, "job.json"),
        result.model_dump_json(indent=2).encode(),
        days=retention_days(tools, record),
        content_type="application/json",
        metadata=document_metadata_of(tools, record),
    )
    return result


def _remark(home: Home) -> str:
    """What the record says of a result that is not whole, or could not be checked."""
    named = f"{LEFT_OUT} {MAX_OUTPUTS + home.left_out} outputs: the first {MAX_OUTPUTS} are stored"
    left_out = [f"{named}, {home.left_out} are not"] if home.left_out else []
    unchecked = _unchecked(home)
    return "; ".join([*left_out, *([f"{UNCHECKED} {'; '.join(unchecked)}"] if unchecked else [])])[:MAX_REMARK]


def _unchecked(home: Home) -> list[str]:
    """Which outputs could not be checked, and why."""
    return [f"output {number}: {warning}" for number, warning in sorted(home.warnings.items())]


def _bad_media(tools: Toolbox, record: Record, token: str, now: float, trouble: Trouble) -> Outcome:
    """An output is no picture: fetch it a few times, then end the job."""
    if record.number("asked" if record.text("pid") else "tries") >= BAD_MEDIA_TRIES:
        return _give_up(tools, record, token, trouble)
    return _try_later(tools, record, token, now, trouble)


def _try_later(tools: Toolbox, record: Record, token: str, now: float, trouble: Trouble) -> Outcome:
    """Try again later while the result is still to be had, else end the job."""
    if now >= _fetched_until(record):
        return _give_up(tools, record, token, trouble)
    tally.count(record.account, STORES, "put_off")
    seconds, reason = STORE_BACKOFF.delay(int(record.number("tries"))), redacted(record, trouble.reason)
    log.warning("job.store_put_off", again_in_seconds=seconds, reason=reason)
    note(outcome="put_off", code=trouble.code.value, reason=reason)
    messages = tools.ledger.jobs.postpone(
        record,
        token,
        seconds=seconds,
        note=trouble.reason[:200],
        ask_again=trouble.home.stale and bool(record.text("pid")),
        home=trouble.home.to_json() if trouble.home.stored else "",
    )
    return Suspend(messages)


def _give_up(tools: Toolbox, record: Record, token: str, trouble: Trouble) -> Outcome:
    tally.count(record.account, STORES, "failed")
    return fail(tools, record, token, trouble.code, trouble.last_words, outputs=trouble.home.addresses)


def _count(record: Record, result: JobResult) -> None:
    """For the log and the metrics: a result was brought home."""
    size_bytes, objects = sum(output.size for output in result.outputs), len(result.outputs)
    note(outcome="stored", objects=objects, size_bytes=size_bytes)
    tally.count(record.account, STORES, "stored")
    tally.count(record.account, STORED_OBJECTS, by=objects)
    tally.count(record.account, STORED_BYTES, by=size_bytes)
    if created := record.moment("created"):
        seconds = max((result.finished_at - created).total_seconds(), 0.0)
        note(job_seconds=round(seconds, 3))
        tally.observe(record.account, JOB_SECONDS, [seconds])


def _result(record: Record, outputs: tuple[Output, ...], *, partial: str = "", untagged: bool = False) -> JobResult:
    request = record.request
    return JobResult(
        job_id=record.job_id,
        provider=request.provider,
        operation=request.operation,
        provider_job_id=record.text("pid") or None,
        polls=int(record.number("polls")),
        submitted_at=record.moment("submitted"),
        finished_at=datetime.now(UTC),
        metadata=request.metadata,
        outputs=outputs,
        partial=partial,
        warnings=(
            *find(request.provider).warnings(request.operation, request.params),
            *purchase_warnings(record),
            *([UNTAGGED] if untagged else []),
        ),
        cost=cost_of(record),
        made_by=record.made_by if record.fell_back else None,
        tried=record.tried,
    )
