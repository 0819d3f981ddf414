"""One job as everything in the ledger shows it at a moment: its record, its clock, its line, its account."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bide.ledger.breaker import AccountState
from bide.ledger.keys import prefix
from bide.ledger.ledger import Ledger
from bide.ledger.records import Record
from bide.ledger.tenants import TenantCaps, caps_of, line_begin, read_caps

CLOCKS = ("queued", "lease", "due")


@dataclass(frozen=True)
class Poll:
    """One poll that is remembered: when, how late it was, and what the provider answered."""

    at: float
    late_seconds: float
    answer: str


@dataclass(frozen=True)
class TenantLine:
    """The line of a job's tenant: the jobs before it, the other tenants with jobs in line, its caps and places."""

    ahead: int
    others: int
    caps: TenantCaps
    in_flight: int


@dataclass(frozen=True)
class JobSnapshot:
    """One job, its place and its account; times are in seconds since the epoch, 0 where there is none."""

    record: Record
    account_state: AccountState
    #: The clock the job stands on ('' for none), and its score there.
    clock: str = ""
    score: float = 0.0
    #: How many jobs stand in line before it (where it has a tenant: in that tenant's line), and how many are in flight.
    ahead: int = 0
    in_flight: int = 0
    #: The line of its tenant, where it has one.
    tenant_line: TenantLine | None = None
    #: When a process last swept or watched the account.
    swept_at: float = 0.0
    #: The last polls, the oldest first.
    polls: tuple[Poll, ...] = ()
    #: When its callback is sent next, and when it was given up.
    callback_at: float = 0.0
    callback_failed_at: float = 0.0
    #: What is known of how long jobs of its operation take, and of its lane, as `polling.duration_model` writes it.
    duration_model: str = field(default="", repr=False)
    lane_model: str = field(default="", repr=False)

    @property
    def now(self) -> float:
        return self.account_state.now


def take_snapshot(ledger: Ledger, record: Record) -> JobSnapshot:
    """Read a job's snapshot; raises `LedgerAwayError`."""
    at, job_id = prefix(record.account), record.job_id
    pipeline = ledger.executor.pipeline()
    for clock in (*CLOCKS, "callbacks", "undelivered"):
        pipeline.zscore(at + clock, job_id)
    pipeline.zrank(f"{at}queued", job_id)
    pipeline.scard(f"{at}inflight")
    pipeline.hget(f"{at}account", "swept_at")
    pipeline.hget(f"{at}body:{job_id}", "polls")
    pipeline.hmget(f"{at}durations", record.text("op"), record.lane)
    *scores, callback_at, failed_at, ahead, in_flight, swept_at, polls, known = ledger.executor.execute(pipeline)
    line = _tenant_line(ledger, record) if record.text("tenant") else None
    clock, score = next(
        ((name, each) for name, each in zip(CLOCKS, scores, strict=True) if each is not None), ("", 0.0)
    )
    return JobSnapshot(
        record,
        ledger.accounts.state(record.account),
        clock=clock,
        score=float(score),
        ahead=line.ahead if line else int(ahead or 0),
        in_flight=int(in_flight),
        tenant_line=line,
        swept_at=float(swept_at or 0),
        polls=tuple(_polls(record, polls or record.poll_log)),
        callback_at=float(callback_at or 0),
        callback_failed_at=float(failed_at or 0),
        duration_model=known[0] or "",
        lane_model=known[1] or "",
    )


def _polls(record: Record, text: str) -> Iterator[Poll]:
    """The polls in the text that `polled.lua` writes; a poll without a word has that of the poll before."""
    opened, last_word = record.number("created"), ""
    for entry in filter(None, text.split(";")):
        after, late, word = entry.split(" ", 2)
        last_word = word or last_word
        yield Poll(opened + float(after), float(late), last_word)


def _tenant_line(ledger: Ledger, record: Record) -> TenantLine:
    at, tenant, bulk = prefix(record.account), record.text("tenant"), record.text("bulk") == "1"
    pipeline = ledger.executor.pipeline()
    pipeline.zscore(f"{at}queued", record.job_id)
    pipeline.zscore(f"{at}tenants", tenant)
    pipeline.zcard(f"{at}tenants")
    pipeline.hget(f"{at}account", "tenants")
    pipeline.hget(f"{at}places", tenant)
    score, number, lines, caps, in_flight = ledger.executor.execute(pipeline)
    ahead = 0
    if score is not None:
        begin, end = line_begin(int(number or 0), bulk=bulk), f"({score:.0f}"
        ahead = int(ledger.executor.reach(lambda server: server.zcount(f"{at}queued", begin, end)))
    others = int(lines) - (number is not None)
    return TenantLine(ahead, others, caps_of(tenant, read_caps(caps or "")), int(in_flight or 0))
