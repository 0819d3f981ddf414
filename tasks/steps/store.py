"""The step that brings a result home: download, check, upload, `job.json` last of all."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from bide.contract import FailureCode, JobResult, JobState, Output, object_key
from bide.crashpoints import reached
from bide.errors import (
    AccountRefusedError,
    BadMediaError,
    InvalidRequestError,
    StorageError,
    TryLaterError,
)
from bide.ledger import Record
from bide.polling.backoff import Backoff
from bide.providers import find
from bide.providers.base import Media, Succeeded, Ticket
from tasks.steps.fail import fail, lease_lost, redacted
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

#: The most outputs of one job that are stored: ten times what any provider makes, and a step of minutes, not of days.
MAX_OUTPUTS = 1000

#: How long a paid result is fetched for, even when its deadline has passed meanwhile [seconds].
FETCH_AT_LEAST_SECONDS = 900.0


def store(tools: Toolbox, record: Record, token: str, *, now: float) -> Outcome:
    """Store the result of one job whose lease is held as `token`, and end the job; raises `LeaseLostError`."""
    note(attempt=int(record.number("tries")) + 1, waited_seconds=round(now - record.number("ended"), 3))
    with tools.leases.holding(record, token) as lease:
        try:
            result, left_out = _bring_home(tools, record, lease)
        except BadMediaError as error:
            return _bad_media(tools, record, token, now, str(error))
        except InvalidRequestError as error:  # the account's settings went away meanwhile
            return _try_later(tools, record, token, now, str(error), FailureCode.INVALID_REQUEST)
        except StorageError as error:
            return _try_later(tools, record, token, now, str(error), FailureCode.STORAGE)
        except (TryLaterError, AccountRefusedError) as error:
            return _try_later(tools, record, token, now, str(error), FailureCode.BAD_MEDIA)
        reached("document_uploaded")
        lease.check()
        wire = result.model_dump_json()
        if not tools.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result=wire, note=_remark(left_out)):
            return lease_lost()
    reached("end_recorded")
    _count(record, result)
    if left_out:
        note("warning", outputs_left_out=left_out)
    return Answer(result.to_wire(), Caller.of(record))


def _bring_home(tools: Toolbox, record: Record, lease: Lease) -> tuple[JobResult, int]:
    """The result, all of it stored, and how many outputs there were besides."""
    found, outputs = _media(tools, record), []
    for number, media in enumerate(found[:MAX_OUTPUTS]):
        lease.check()
        outputs.append(_bring_one(tools, record, number, media))
    reached("objects_uploaded")
    result = _result(record, tuple(outputs))
    lease.check()
    tools.storage.put(
        _key(record, "job.json"),
        result.model_dump_json(indent=2).encode(),
        content_type="application/json",
        metadata=_metadata(record),
    )
    return result, len(found) - len(outputs)


def _remark(left_out: int) -> str:
    """What the record says of a result that is not whole."""
    if not left_out:
        return ""
    return (
        f"the provider named {MAX_OUTPUTS + left_out} outputs: the first {MAX_OUTPUTS} are stored, {left_out} are not"
    )


def _media(tools: Toolbox, record: Record) -> tuple[Media, ...]:
    """The result's parts: as recorded, or asked for again where they came inline or their addresses went stale."""
    if record.text("outputs"):
        return record.outputs
    account = tools.accounts.get(record.account)
    adapter, credentials = account.adapter, account.credentials
    ticket = Ticket(record.text("op"), record.text("pid"), record.text("cursor"), seen=True)
    call = adapter.poll_call(ticket, credentials)
    outcome = adapter.poll_outcome(tools.event_loop.run(tools.http.call(call, buys=False)), ticket, credentials)
    if isinstance(outcome, Succeeded) and (outcome.outputs or not adapter.operations[ticket.operation].has_outputs):
        return outcome.outputs
    raise TryLaterError(f"the provider reported success, and then {type(outcome).__name__.lower()} without a result")


def _bring_one(tools: Toolbox, record: Record, number: int, media: Media) -> Output:
    with tools.fetcher.output(media, tools.accounts.get(record.account)) as fetched:
        key = _key(record, f"{number}.{fetched.ext}")
        tools.storage.put(
            key,
            fetched.file,
            content_type=fetched.content_type,
            sha256=fetched.sha256,
            metadata={"sha256": fetched.sha256, **_metadata(record)},
        )
        return Output(
            uri=tools.storage.uri(key),
            bucket=tools.storage.options.bucket,
            key=key,
            content_type=fetched.content_type,
            size=fetched.size,
            sha256=fetched.sha256,
            width=fetched.width,
            height=fetched.height,
            role=media.role,
        )


def _bad_media(tools: Toolbox, record: Record, token: str, now: float, reason: str) -> Outcome:
    """An output is no picture: fetch it a few times, then end the job."""
    if record.number("asked" if record.text("pid") else "tries") >= BAD_MEDIA_TRIES:
        return _give_up(tools, record, token, reason, FailureCode.BAD_MEDIA)
    return _try_later(tools, record, token, now, reason, FailureCode.BAD_MEDIA)


def _try_later(tools: Toolbox, record: Record, token: str, now: float, reason: str, code: FailureCode) -> Outcome:
    """Try again later while the result is still to be had, else end the job."""
    ended = record.number("ended")
    until = max(record.number("deadline"), ended + FETCH_AT_LEAST_SECONDS)
    if now >= min(until, ended + find(record.account.provider).results_live_seconds):
        return _give_up(tools, record, token, reason, code)
    tally.count(record.account, STORES, "put_off")
    seconds = STORE_BACKOFF.delay(int(record.number("tries")))
    log.warning("job.store_put_off", again_in_seconds=seconds, reason=redacted(record, reason))
    note(outcome="put_off", code=code.value, reason=redacted(record, reason))
    fresh = code is FailureCode.BAD_MEDIA and bool(record.text("pid"))  # only these addresses may have gone stale
    return Suspend(tools.ledger.jobs.postpone(record, token, seconds=seconds, note=reason[:200], ask_again=fresh))


def _give_up(tools: Toolbox, record: Record, token: str, reason: str, code: FailureCode) -> Outcome:
    tally.count(record.account, STORES, "failed")
    return fail(tools, record, token, code, reason)


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


def _result(record: Record, outputs: tuple[Output, ...]) -> JobResult:
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
    )


def _key(record: Record, name: str) -> str:
    created = record.moment("created") or datetime.now(UTC)
    return object_key(record.job_id, name, created_at=created, prefix=record.request.output_prefix)


def _metadata(record: Record) -> dict[str, str]:
    own = {"bide-job": record.job_id, "bide-provider": record.account.provider, "bide-operation": record.text("op")}
    callers = {name: str(value) for name, value in record.request.metadata.items() if name and name not in own}
    return own | callers  # ours first: what S3 has no room for is left out from the end
