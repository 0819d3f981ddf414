"""How a job's end reaches its caller, or the caller of another job with the same idempotency key."""

from __future__ import annotations

import json

from bide.contract import JobState
from bide.ledger import AccountName, Record
from tasks.steps.enter import Message, without_record
from tasks.steps.fail import redacted
from tasks.steps.outcome import Answer, Caller, Fail, Ignore, Suspend
from workers.telemetry.step_log import note
from workers.toolbox import Toolbox


def answer(record: Record, caller: Caller | None = None) -> Answer | Fail:
    """The end of a job that has ended, the same for every caller."""
    caller = caller or Caller.of(record)
    if record.state is JobState.SUCCEEDED:
        note(outcome="answered")
        return Answer(json.loads(record.text("result")), caller)
    failure = record.failure
    note(outcome="answered", code=failure.code.value, reason=redacted(record, failure.message))
    return Fail(failure, caller)


def follow(tools: Toolbox, message: Message, account: AccountName, leader: str) -> Answer | Fail | Suspend | Ignore:
    """Another caller asked for the same: one purchase by `leader`, one result for both."""
    record = tools.ledger.jobs.read(account, leader) or tools.ledger.jobs.find(leader)  # it may have gone on
    note(leader=leader)
    if record is None:
        return without_record(message)
    if not _ended(record):
        return Suspend()
    return answer(record, Caller(record.account, message.job_id, leader, record.state.value))


def write_receipt(tools: Toolbox, outcome: Answer | Fail) -> None:
    """Have the bucket know how a job has ended, now that its own caller knows it."""
    caller = outcome.caller
    if caller is None or caller.leader:
        return
    if isinstance(outcome, Fail):
        tools.receipts.ended(caller.account, outcome.failure, created=caller.created)
    else:
        tools.receipts.succeeded(caller.account, caller.job_id, created=caller.created)


def _ended(record: Record) -> bool:
    """Whether the record holds an end that a caller can hear of."""
    return record.following is None and (record.state.final or record.state is JobState.UNCONFIRMED)
