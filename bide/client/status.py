"""Where a job stands, as its caller sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bide.contract import Failure, JobState
from bide.ledger import Record
from bide.ledger.unconfirmed import remarks


@dataclass(frozen=True)
class Status:
    """Where a job stands; times are in UTC."""

    job_id: str
    state: JobState
    provider: str
    operation: str
    provider_job_id: str | None
    polls: int
    created_at: datetime | None
    deadline_at: datetime | None
    #: What was last heard from the provider or decided about the job.
    note: str
    failure: Failure | None


def status_of(record: Record, job_id: str) -> Status:
    """What a record says, to the caller who knows the job as `job_id`."""
    return Status(
        job_id=job_id,
        state=record.state,
        provider=record.account.provider,
        operation=record.text("op"),
        provider_job_id=record.text("pid") or None,
        polls=int(record.number("polls")),
        created_at=record.moment("created"),
        deadline_at=record.moment("deadline"),
        note="; ".join(filter(None, [record.text("note"), *remarks(record)])),
        failure=record.failure if record.text("error") else None,
    )
