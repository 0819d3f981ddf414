"""The status of a job for its caller."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bide.contract import Failure, JobCost, JobState, Tried
from bide.describe import describe
from bide.ledger import Record
from bide.ledger.charges import cost_of
from bide.ledger.unconfirmed import remarks
from bide.providers.base import Progress


@dataclass(frozen=True)
class Status:
    """The state of a job, with its numbers and times; times are in UTC."""

    job_id: str
    state: JobState
    provider: str
    operation: str
    provider_job_id: str | None
    polls: int
    created_at: datetime | None
    deadline_at: datetime | None
    #: The provider's last message about the job, or the last decision about it.
    note: str
    failure: Failure | None
    #: Provider, operation and the beginning of the prompt.
    what: str = ""
    #: The addresses of the stored objects, `s3://bucket/key`; () before the job has succeeded.
    outputs: tuple[str, ...] = ()
    #: What the provider left out of the result, though the job went well; '' where it is nothing.
    partial: str = ""
    #: How far a running job is, where its provider says so.
    progress: Progress | None = None
    #: What the job costs: as its provider says it, or for one that succeeded by its price.
    cost: JobCost | None = None
    #: The account that has the job, and those that it has left for its fallbacks.
    account: str = ""
    tried: tuple[Tried, ...] = ()


def status_of(record: Record, job_id: str) -> Status:
    """The status out of a record, for a caller who knows the job as `job_id`."""
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
        what=describe(record.request) if record.request_json else f"{record.account.provider} {record.text('op')}",
        outputs=record.stored,
        partial=record.partial,
        progress=record.progress,
        cost=cost_of(record),
        account=record.account.account,
        tried=record.tried,
    )
