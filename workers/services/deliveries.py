"""What a callback says of a job's end: made of the record at each attempt, and the same each time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from bide.contract import CallbackEvent, JobResult, JobState
from bide.ledger import Record
from bide.ledger.callbacks import webhook_id
from bide.webhooks.outgoing import Delivery

_TYPES: dict[JobState, Literal["job.succeeded", "job.failed", "job.canceled", "job.unconfirmed"]] = {
    JobState.SUCCEEDED: "job.succeeded",
    JobState.FAILED: "job.failed",
    JobState.CANCELED: "job.canceled",
    JobState.UNCONFIRMED: "job.unconfirmed",
}


def delivery_of(record: Record, number: int) -> Delivery | None:
    """The callback of a job's end `number`; None where the job has moved on or its request names no address."""
    kind = _TYPES.get(record.state) if record.following is None else None
    if kind is None or int(record.number("callback")) != number:
        return None
    url = record.request.callback_url
    return Delivery(url, webhook_id(record, number), event_of(record, kind).model_dump_json()) if url else None


def event_of(
    record: Record, kind: Literal["job.succeeded", "job.failed", "job.canceled", "job.unconfirmed"]
) -> CallbackEvent:
    """The event of an ended job."""
    succeeded = record.state is JobState.SUCCEEDED
    return CallbackEvent(
        type=kind,
        timestamp=record.moment("finished") or datetime.now(UTC),
        metadata=record.request.metadata,
        data=JobResult.model_validate_json(record.text("result")) if succeeded else record.failure,
    )
