"""What stands in Redis at the moment of a scrape, as values: accounts, queues and bulk runs."""

from __future__ import annotations

from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import redis

from bide.bulk.names import RUNS_KEY
from bide.bulk.record import Run
from bide.bulk.runs import Runs
from bide.contract import QUEUES
from bide.ledger import AccountName, Ledger
from bide.ledger.breaker import AccountState
from bide.ledger.census import StateCount
from bide.ledger.keys import prefix
from bide.ledger.processes import running
from bide.ledger.tenants import TenantCount
from bide.money.book import Sums
from bide.money.budgets import BudgetStand
from workers.health.checks import UnhealthyError, count_messages
from workers.metrics.counted import OTHER, SETTLED_DOUBTS
from workers.metrics.tally import metrics_key

#: Accounts that are shown: requests may name any, and each has some hundred time series.
MOST_ACCOUNTS = 100

#: Runs that are counted, and those of them that are shown one by one.
MOST_RUNS, SHOWN_RUNS = 500, 10

#: Tenants that are shown one by one: those that spent most today.
SHOWN_TENANTS = 20


@dataclass(frozen=True)
class Account:
    """One account; ages in seconds."""

    name: AccountName
    jobs: Mapping[str, StateCount]
    health: AccountState
    in_flight: int
    callbacks: int
    undelivered: int
    poll_overdue_seconds: float
    callback_overdue_seconds: float
    oldest_unconfirmed_seconds: float
    unattended_seconds: float
    counted: Mapping[str, str] = field(repr=False)
    tenants: tuple[TenantCount, ...] = ()


@dataclass(frozen=True)
class Bulk:
    """All runs that are not over, and of those that run the ones with the most rows left."""

    states: Mapping[str, int]
    rows: Mapping[str, int]
    largest: tuple[Run, ...]


@dataclass(frozen=True)
class Money:
    """What stands in today's books (UTC) and in the budgets."""

    #: By provider and account, and currency.
    by_account: Mapping[tuple[AccountName, str], Sums] = field(default_factory=dict)
    #: By tenant and currency: the tenants that spent most, the others together.
    by_tenant: Mapping[tuple[str, str], Sums] = field(default_factory=dict)
    budgets: tuple[BudgetStand, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """Everything, at `now` [seconds since the epoch]. `queues` is None while the broker does not answer.

    `refused_stores` counts the workers whose object store takes no test object, `unknown_ledgers` those whose ledger is
    not the one that it was.
    """

    now: float
    accounts: tuple[Account, ...]
    left_out: int
    queues: Mapping[str, int] | None
    bulk: Bulk
    refused_stores: int = 0
    unknown_ledgers: int = 0
    money: Money = field(default_factory=Money)


def read(server: redis.Redis, depths: Callable[[], Mapping[str, int] | None]) -> Snapshot:
    """Take it all in; `depths` counts the messages in queues. Raises `LedgerAwayError` or `redis.RedisError`."""
    ledger = Ledger(server)
    seconds, microseconds = server.time()
    now = float(seconds) + float(microseconds) / 1e6
    names = ledger.accounts.names()
    accounts = tuple(_account(ledger, name, now) for name in names[:MOST_ACCOUNTS])
    processes = running(server)
    refused = sum(bool(process.store_refusal) for process in processes)
    unknown = sum(bool(process.ledger_refusal) for process in processes)
    money = _money(ledger, names[:MOST_ACCOUNTS], datetime.fromtimestamp(now, UTC).date())
    return Snapshot(now, accounts, max(len(names) - MOST_ACCOUNTS, 0), depths(), _bulk(server), refused, unknown, money)


def _account(ledger: Ledger, name: AccountName, now: float) -> Account:
    at = prefix(name)
    pipeline = ledger.server.pipeline(transaction=False)
    pipeline.scard(f"{at}inflight")
    pipeline.zcard(f"{at}callbacks")
    pipeline.zcard(f"{at}undelivered")
    pipeline.zrange(f"{at}due", 0, 0, withscores=True)
    pipeline.zrange(f"{at}callbacks", 0, 0, withscores=True)
    pipeline.zrange(f"{at}unconfirmed", 0, 0, withscores=True)
    pipeline.hget(f"{at}account", "swept_at")
    pipeline.hgetall(metrics_key(name))
    pipeline.hgetall(f"{at}{SETTLED_DOUBTS.name}")
    in_flight, callbacks, undelivered, due, owed, doubts, swept_at, counted, settled = pipeline.execute()
    jobs = ledger.accounts.count_jobs(name)
    seen = float(swept_at or 0) or min((its.oldest for its in jobs.values() if its.jobs), default=now)
    return Account(
        name,
        jobs,
        ledger.accounts.state(name),
        in_flight,
        callbacks,
        undelivered,
        _overdue(due, now),
        _overdue(owed, now),
        _overdue(doubts, now),
        max(now - seen, 0.0),
        counted | {SETTLED_DOUBTS.field(how): number for how, number in settled.items()},
        tuple(ledger.accounts.count_tenants(name)),
    )


def _money(ledger: Ledger, names: Sequence[AccountName], today: date) -> Money:
    by_account: defaultdict[tuple[AccountName, str], Sums] = defaultdict(Sums)
    by_tenant: defaultdict[tuple[str, str], Sums] = defaultdict(Sums)
    for name in names:
        for row, sums in ledger.books.day(name, today).items():
            by_account[name, row.currency] += sums
            by_tenant[row.tenant, row.currency] += sums
    most = sorted(by_tenant, key=lambda key: by_tenant[key].spent, reverse=True)
    for key in most[SHOWN_TENANTS:]:
        by_tenant[OTHER, key[1]] += by_tenant.pop(key)
    return Money(by_account, by_tenant, tuple(ledger.budgets.stands(ledger.budgets.published())))


def _overdue(first: list[tuple[Any, float]], now: float) -> float:
    """How long ago the first entry of a clock was, or was due [seconds]."""
    return max(now - first[0][1], 0.0) if first else 0.0


def depths() -> Mapping[str, int] | None:
    """How many messages wait in each queue of the broker that the settings name; None while it does not answer."""
    try:
        return {queue: count_messages((queue,)) for queue in QUEUES}
    except UnhealthyError:
        return None


def _bulk(server: redis.Redis) -> Bulk:
    ids: Any = server.zrange(RUNS_KEY, 0, MOST_RUNS - 1)
    runs = [run for run in map(Runs(server).read, ids) if run and not run.over]
    rows: Counts[str] = Counts()
    for run in runs:
        rows.update({"in_line": run.number("in_line"), "in_flight": run.number("in_flight"), **run.ended})
        rows["left"] += _left(run)
    largest = sorted((run for run in runs if run.state == "running"), key=_left, reverse=True)
    return Bulk(Counts(run.state for run in runs), rows, tuple(largest[:SHOWN_RUNS]))


def _left(run: Run) -> int:
    return max(run.number("rows") - run.done, 0)
