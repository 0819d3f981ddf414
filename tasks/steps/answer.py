"""How a job's end reaches its caller: the result is returned, a failure raised; the ledger is told afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from bide.contract import Failure, FailureCode, JobState
from bide.errors import JobFailed
from bide.ledger import AccountName, Record
from workers.telemetry.redaction import redact


@dataclass(frozen=True)
class Answered:
    """Whose caller is being told: noted on the running request, reported to the ledger once the result is stored."""

    account: AccountName
    job_id: str
    leader: str = ""
    told: str = ""  #: of which state of its leader


def ended(record: Record) -> bool:
    """Whether the record holds an end that a caller can be told."""
    return record.following is None and (record.state.final or record.state is JobState.UNCONFIRMED)


def outcome(record: Record) -> dict[str, Any]:
    """The result of an ended job, the same for every caller; raises `JobFailed` for a bad end."""
    if record.state is JobState.SUCCEEDED:
        result: dict[str, Any] = json.loads(record.text("result"))
        return result
    raise failed(record.failure)


def told_of(record: Record) -> dict[str, Any]:
    """What the line of every step says of its job, beside its name."""
    polls = int(record.number("polls"))
    return {"operation": record.text("op"), "provider_job_id": record.text("pid") or None, "polls": polls or None}


def said(record: Record, words: str) -> str:
    """Somebody's words about a job, for its line: without what they quote of its request."""
    return redact(words, record.request.params)


def failed(failure: Failure) -> JobFailed:
    """The exception that makes the caller's task fail."""
    return JobFailed(failure.model_dump_json())


def failure_of(record: Record, code: FailureCode, message: str, *, retryable: bool = False) -> Failure:
    """A new failure of this job."""
    return Failure(
        code=code,
        message=message[:1000],
        job_id=record.job_id,
        provider=record.account.provider,
        provider_job_id=record.text("pid") or None,
        retryable=retryable,
    )
