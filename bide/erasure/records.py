"""The records of jobs: read page by page, and reduced to what keeps a job from being bought again."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import redis

from bide.contract import Failure, FailureCode, JobState, object_key
from bide.erasure.bucket import Folder
from bide.ledger import AccountName, Ledger, Record, scripts
from bide.ledger.keys import canceled_key, prefix
from bide.ledger.listing import PAGE, recorded
from bide.ledger.packed import record_of
from bide.ledger.records import RECORD_VERSION
from bide.ledger.script import Key

#: What stays of a record: of its purchases, of which its account's book is made, and of its moments.
KEPT = tuple(
    """
    op lane tenant run created submitted ended finished pid other_pid submits contract booked price currency priced_by
    cost charge_unknown idem
    """.split()  # noqa: SIM905 - one name a line would hide the others
)

#: What stays of a record that a job has left at an account before its fallback.
KEPT_LEFT = {*KEPT, "v", "state", "moved_to"}

#: Why a record can't be erased, by the reply of the script; a state that is not over stands for itself.
REASONS = {
    "version": "its record is of another version of bide: use that one",
    "unanswered": "its caller has no answer yet; erase it again in a minute",
    "changed": "it changed meanwhile; erase it again",
}
UNDER_WAY = "it is {state}: cancel it first (`bide cancel {job_id}`), or wait for its end"
UNCONFIRMED = "it is unconfirmed, so that it may have been bought: settle it first (`bide unconfirmed list`)"

#: An uploaded input of a client (`bide.client.requests`), as a request names it.
UPLOAD = re.compile(r"uploads/(?:\d+-days/)?[0-9a-f]{64}")


def pages(ledger: Ledger) -> Iterator[list[Record]]:
    """All records with their requests, in no order; a page of them is held at a time."""
    executor = ledger.executor
    found = recorded(executor, executor.accounts())
    while some := list(islice(found, PAGE)):
        pipeline = executor.pipeline()
        for name, job_id in some:
            pipeline.hgetall(f"{prefix(name)}job:{job_id}")
            pipeline.hget(f"{prefix(name)}body:{job_id}", "request")
        values = executor.execute(pipeline)
        rows = zip(some, values[::2], values[1::2], strict=True)
        yield [record_of(job_id, name, fields, request) for (name, job_id), fields, request in rows if fields]


def followers(ledger: Ledger) -> dict[str, list[str]]:
    """The callers whose results are those of another job, by that job."""
    found: dict[str, list[str]] = defaultdict(list)
    executor = ledger.executor
    jobs = recorded(executor, executor.accounts())
    while some := list(islice(jobs, PAGE)):
        pipeline = executor.pipeline()
        for name, job_id in some:
            pipeline.hget(f"{prefix(name)}job:{job_id}", "leader")
        for (_, job_id), leader in zip(some, executor.execute(pipeline), strict=True):
            if leader:
                found[leader].append(job_id)
    return found


def uploads_of(record: Record) -> set[str]:
    """The keys of uploaded inputs that a request names."""
    return set(UPLOAD.findall(record.request_json))


def has_content(record: Record) -> bool:
    """Whether a record says what was asked or made: not that of a follower, nor one that is erased already."""
    return not record.text("erased") and record.text("state") != "following"


def puts_at(record: Record, folder: Folder) -> bool:
    """Whether a folder is where a record's job puts its objects; a caller that waits for another job puts none.

    That of an erased job says the day alone.
    """
    created = record.moment("created")
    if created is None or record.text("state") == "following":
        return False
    if record.text("erased"):
        return created.date() == folder.day.date()
    return folder.prefix == begin_of(record, created)


def begin_of(record: Record, created: datetime) -> str:
    """What the keys of all objects of a job begin with."""
    return object_key(record.job_id, "", created_at=created, prefix=output_prefix(record))


def why_not(record: Record) -> str:
    """Why a record can't be erased now, '' for one that can."""
    state = record.text("state")
    if record.text("v") != RECORD_VERSION:
        return REASONS["version"]
    if not has_content(record):
        return ""
    if not JobState(state).final:
        unconfirmed = state == JobState.UNCONFIRMED or record.settling
        return UNCONFIRMED if unconfirmed else UNDER_WAY.format(state=state, job_id=record.job_id)
    return "" if record.text("answered") == "1" else REASONS["unanswered"]


def erase(ledger: Ledger, record: Record) -> str:
    """Reduce a record; returns why that could not be, '' where it is done. That of a follower has no content."""
    if record.text("state") == "following":
        return ""
    for move in record.moves:
        _reduce_left(ledger, AccountName.parse(move.account), record.job_id)
    account = record.account
    request = {"provider": account.provider, "operation": record.text("op"), "account": account.account}
    fields = {name: value for name in KEPT if (value := record.text(name))}
    fields |= {"v": RECORD_VERSION, "state": JobState.CANCELED.value, "fp": "", "answered": "1"}
    script = scripts.job.Erase(
        idempotency_key=Key(record.text("idem")),
        id=record.job_id,
        state=record.text("state"),
        pid=record.text("pid"),
        other_pid=record.text("other_pid"),
        request=json.dumps(request, separators=(",", ":")),
        fields={**fields, "error": _failure(record).model_dump_json()},
    )
    reply = str(ledger.executor.run(account, script))
    if reply in ("", "gone", "erased"):
        return ""
    return REASONS.get(reply) or UNDER_WAY.format(state=reply, job_id=record.job_id)


def forbid(ledger: Ledger, job_id: str) -> None:
    """Keep a job without a record from being bought: a message of that id finds it canceled."""
    failure = Failure(code=FailureCode.CANCELED, message=_words(), job_id=job_id)
    seconds = ledger.timing.retention_seconds
    ledger.executor.reach(lambda server: server.set(canceled_key(job_id), failure.model_dump_json(), ex=seconds))


def forget_results(results: redis.Redis, job_ids: Sequence[str]) -> int:
    """Remove Celery's results of jobs; returns how many there were."""
    found = 0
    for first in range(0, len(job_ids), PAGE):
        names = [f"celery-task-meta-{job_id}" for job_id in job_ids[first : first + PAGE]]
        found += int(results.unlink(*names))
    return found


def _reduce_left(ledger: Ledger, account: AccountName, job_id: str) -> None:
    """What a job left behind at an account, without what its provider answered."""
    key = f"{prefix(account)}left:{job_id}"

    def reduce(server: Any) -> None:
        content = [name for name in server.hkeys(key) if name not in KEPT_LEFT]
        if content:
            server.hdel(key, *content)

    ledger.executor.reach(reduce)


def _failure(record: Record) -> Failure:
    """The end of an erased job. Whether its provider charged stays, since the book goes by it."""
    charged = record.failure.charged if record.text("error") else None
    return Failure(code=FailureCode.CANCELED, message=_words(), job_id=record.job_id, charged=charged)


def _words() -> str:
    return f"erased on request on {datetime.now(UTC):%Y-%m-%d}: nothing that it was asked or made is kept"


def asked(record: Record) -> dict[str, Any]:
    """The metadata of a job's request; empty where there is none, or its request is gone."""
    found = _request(record).get("metadata")
    return found if isinstance(found, dict) else {}


def output_prefix(record: Record) -> str | None:
    """What the keys of a job's objects begin with."""
    found = _request(record).get("output_prefix")
    return found if isinstance(found, str) else None


def _request(record: Record) -> dict[str, Any]:
    try:
        found = json.loads(record.request_json or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
