"""What a step of a job returns. Steps return values; the task `bide.generate` alone turns them into Celery's terms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bide.contract import Failure
from bide.ledger import AccountName, Messages, Record


@dataclass(frozen=True)
class Caller:
    """The caller that gets an answer. The ledger notes the answer, once Celery has stored it."""

    account: AccountName
    job_id: str
    #: For a follower: the job whose answer it gets, and the state of that job.
    leader: str = ""
    leader_state: str = ""
    #: When the record of its own job was created, as that says it.
    created: str = ""

    @classmethod
    def of(cls, record: Record) -> Caller:
        """The caller whose own job the record is."""
        return cls(record.account, record.job_id, created=record.text("created"))


@dataclass(frozen=True)
class Suspend:
    """The job goes on later. `messages` are sent once the caller's result says RETRY."""

    messages: Messages = field(default_factory=Messages)


@dataclass(frozen=True)
class Answer:
    """The job has succeeded: its result, as it goes over the wire."""

    result: dict[str, Any]
    caller: Caller


@dataclass(frozen=True)
class Fail:
    """The caller's task fails. Without a `caller` there is no job for which the ledger could note it."""

    failure: Failure
    caller: Caller | None = None


@dataclass(frozen=True)
class Ignore:
    """The message changes no result. A `refusal` goes to the message's own error callbacks and to its chord."""

    why: str
    refusal: Failure | None = None


Outcome = Suspend | Answer | Fail | Ignore
