"""The step that brings a result home: download, check, upload, `job.json` last of all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import structlog

from bide.contract import FailureCode, JobResult, JobState, Output, object_key
from bide.crashpoints import reached
from bide.errors import (
    AccountRefusedError,
    BadMediaError,
    InvalidRequestError,
    LeaseLostError,
    StorageError,
    TryLaterError,
)
from bide.ledger import Messages, Record
from bide.providers import find
from bide.providers.base import Media, Succeeded, Ticket
from tasks.steps.answer import said
from tasks.steps.submit import end
from workers.metrics.counted import JOB_SECONDS, STORED_BYTES, STORED_OBJECTS, STORES
from workers.metrics.tally import tally
from workers.services.lease_keeper import Lease
from workers.telemetry.step_log import note
from workers.toolbox import Toolbox

log = structlog.get_logger()

#: First wait before a store step is tried again, doubled each time, and the longest [seconds].
AGAIN_SECONDS, AGAIN_MAX_SECONDS = 2.0, 45.0

#: How often a file that is no picture is fetched anew, over 14 s: an edge under load answers 200 with a page, too.
BAD_MEDIA_TRIES = 3

#: The most outputs of one job that are stored: ten times what any provider makes, and a step of minutes, not of days.
MAX_OUTPUTS = 1000

#: How long a paid result is fetched for, even when its deadline has passed meanwhile [seconds].
FETCH_AT_LEAST_SECONDS = 900.0


class PutOff(Exception):  # noqa: N818 - no error: the step comes again
    """The step could not be done this time."""

    def __init__(self, messages: Messages) -> None:
        self.messages = messages


def store(tools: Toolbox, record: Record, token: str, *, now: float) -> dict[str, Any]:
    """Store the result of one job whose lease is held as `token`, and end the job.

    Returns the result as it goes over the wire. Raises `PutOff` with what to send when it has to be tried again,
    `JobFailed` when the job ended badly, `LeaseLostError` when somebody else has it.
    """
    note(attempt=int(record.number("tries")) + 1, waited_seconds=round(now - record.number("ended"), 3))
    with tools.leases.holding(record, token) as lease:
        try:
            result, left_out = _bring_home(tools, record, lease)
        except BadMediaError as error:
            if record.number("asked" if record.text("pid") else "tries") >= BAD_MEDIA_TRIES:
                tally.count(record.account, STORES, "failed")
                raise end(tools, record, token, FailureCode.BAD_MEDIA, str(error)) from None
            raise _again(tools, record, token, now, str(error), FailureCode.BAD_MEDIA) from None
        except InvalidRequestError as error:  # the account's settings went away meanwhile
            raise _again(tools, record, token, now, str(error), FailureCode.INVALID_REQUEST) from None
        except StorageError as error:
            raise _again(tools, record, token, now, str(error), FailureCode.STORAGE) from None
        except (TryLaterError, AccountRefusedError) as error:
            raise _again(tools, record, token, now, str(error), FailureCode.BAD_MEDIA) from None
        reached("document_uploaded")
        lease.check()
        wire = result.model_dump_json()
        if not tools.ledger.conclude(record, token, JobState.SUCCEEDED, result=wire, note=_remark(left_out)):
            raise LeaseLostError(f"job {record.job_id}: somebody else has it")
    reached("end_recorded")
    _count(record, result)
    if left_out:
        note("warning", outputs_left_out=left_out)
    return result.to_wire()


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
    adapter, account = find(record.account.provider), tools.account(record.account)
    ticket = Ticket(record.text("op"), record.text("pid"), record.text("cursor"), seen=True)
    call = adapter.poll_call(ticket, account)
    outcome = adapter.poll_outcome(tools.event_loop.run(tools.http.call(call, buys=False)), ticket, account)
    if isinstance(outcome, Succeeded) and (outcome.outputs or not adapter.operations[ticket.operation].has_outputs):
        return outcome.outputs
    raise TryLaterError(f"the provider reported success, and then {type(outcome).__name__.lower()} without a result")


def _bring_one(tools: Toolbox, record: Record, number: int, media: Media) -> Output:
    with tools.fetch(media, record.account) as fetched:
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


def _again(tools: Toolbox, record: Record, token: str, now: float, reason: str, code: FailureCode) -> Exception:
    """Try again later while the result is still to be had, else end the job."""
    adapter = find(record.account.provider)
    ended = record.number("ended")
    until = max(record.number("deadline"), ended + FETCH_AT_LEAST_SECONDS)
    if now >= min(until, ended + adapter.results_live_seconds):
        tally.count(record.account, STORES, "failed")
        return end(tools, record, token, code, reason)
    tally.count(record.account, STORES, "put_off")
    tries = int(record.number("tries"))
    pause = min(AGAIN_SECONDS * 2**tries, AGAIN_MAX_SECONDS)
    log.warning("job.store_put_off", again_in_seconds=pause, reason=said(record, reason))
    note(outcome="put_off", code=code.value, reason=said(record, reason))
    fresh = code is FailureCode.BAD_MEDIA and bool(record.text("pid"))  # only these addresses may have gone stale
    return PutOff(tools.ledger.put_off(record, token, seconds=pause, note=reason[:200], ask_again=fresh))


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
