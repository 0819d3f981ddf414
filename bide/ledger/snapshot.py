"""One job as everything in the ledger shows it at a moment: its record, its clock, its line, its account."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bide.ledger.breaker import AccountState
from bide.ledger.keys import prefix
from bide.ledger.ledger import Ledger
from bide.ledger.records import Record

CLOCKS = ("queued", "lease", "due")


@dataclass(frozen=True)
class Poll:
    """One poll that is remembered: when, how late it was, and what the provider answered."""

    at: float
    late_seconds: float
    answer: str


@dataclass(frozen=True)
class JobSnapshot:
    """One job, its place and its account; times are in seconds since the epoch, 0 where there is none."""

    record: Record
    account_state: AccountState
    #: The clock the job stands on ('' for none), and its score there.
    clock: str = ""
    score: float = 0.0
    #: How many jobs stand in line before it, and how many are in flight.
    ahead: int = 0
    in_flight: int = 0
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
    clock, score = next(
        ((name, each) for name, each in zip(CLOCKS, scores, strict=True) if each is not None), ("", 0.0)
    )
    return JobSnapshot(
        record,
        ledger.accounts.state(record.account),
        clock=clock,
        score=float(score),
        ahead=int(ahead or 0),
        in_flight=int(in_flight),
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
