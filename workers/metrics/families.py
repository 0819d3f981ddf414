"""A snapshot in Prometheus's terms. Labels: provider, account, and words of bounded sets; never a job's id."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from bide.money.amounts import amount
from bide.money.budgets import BudgetStand
from workers.metrics.counted import COUNTERS, HISTOGRAMS
from workers.metrics.reading import MOST_ACCOUNTS, SHOWN_RUNS, SHOWN_TENANTS, Account, Money, Snapshot
from workers.metrics.tenants import tenant_families

_ACCOUNT = ("provider", "account")


def _capacity(account: Account) -> float | None:
    return account.health.max_in_flight or None


#: Gauges of an account that are one number each; None for a sample that is left out.
_GAUGES: tuple[tuple[str, str, Callable[[Account], float | None]], ...] = (
    ("in_flight", "Places taken at the provider.", lambda it: it.in_flight),
    (
        "capacity",
        "Places that the settings allow; absent until a worker has seen the account.",
        _capacity,
    ),
    (
        "account_paused",
        "1 while no submits are made until an operator resumes the account.",
        lambda it: bool(it.health.paused),
    ),
    (
        "account_held_seconds",
        "How much longer no submits are made, after a refusal.",
        lambda it: it.health.open_seconds,
    ),
    (
        "account_strikes",
        "Submits in a row that failed; above 0 one job at a time goes ahead.",
        lambda it: it.health.failures,
    ),
    (
        "lanes_held",
        "Lanes whose submits are kept back, or go one at a time, after refusals.",
        lambda it: len(it.health.lanes),
    ),
    (
        "account_unattended_seconds",
        "Since any worker process looked after the account.",
        lambda it: it.unattended_seconds,
    ),
    (
        "poll_overdue_seconds",
        "How late the job is that waits longest for its poll.",
        lambda it: it.poll_overdue_seconds,
    ),
    (
        "oldest_unconfirmed_seconds",
        "Since when the job is unconfirmed that has been so longest; 0 where none is.",
        lambda it: it.oldest_unconfirmed_seconds,
    ),
    ("callbacks_pending", "Callbacks that are owed.", lambda it: it.callbacks),
    ("callbacks_undelivered", "Callbacks that were given up.", lambda it: it.undelivered),
    (
        "callback_overdue_seconds",
        "How late the callback is that waits longest.",
        lambda it: it.callback_overdue_seconds,
    ),
)


def families(snapshot: Snapshot | None) -> Iterator[Metric]:
    """All metrics; without a snapshot (Redis is away) only their names, and `bide_up` 0."""
    yield GaugeMetricFamily("bide_up", "1 if the ledger's Redis answered.", value=snapshot is not None)
    accounts = snapshot.accounts if snapshot else ()
    left_out = f"Accounts beyond the first {MOST_ACCOUNTS}, of which nothing is shown."
    yield GaugeMetricFamily("bide_accounts_left_out", left_out, value=snapshot.left_out if snapshot else 0)
    refused = "Workers that submit nothing, since their object store takes no test object."
    yield GaugeMetricFamily("bide_stores_refused", refused, value=snapshot.refused_stores if snapshot else 0)
    unknown = "Workers that submit nothing, since the ledger is not the one that it was, or that is not known yet."
    yield GaugeMetricFamily("bide_ledgers_unknown", unknown, value=snapshot.unknown_ledgers if snapshot else 0)
    yield from _jobs(snapshot)
    for name, text, value in _GAUGES:
        yield _gauge(name, text, value, accounts)
    for counter in COUNTERS:
        labels = [*_ACCOUNT, *([counter.label] if counter.label else [])]
        counts = CounterMetricFamily(f"bide_{counter.name}", counter.text, labels=labels)
        for account in accounts:
            for label_value, number in counter.counts(account.counted).items():
                counts.add_metric([*account.name, *([label_value] if counter.label else [])], number)
        yield counts
    for histogram in HISTOGRAMS:
        values = HistogramMetricFamily(f"bide_{histogram.name}", histogram.text, labels=_ACCOUNT)
        for account in accounts:
            buckets, total = histogram.buckets(account.counted)
            values.add_metric([*account.name], buckets, total)
        yield values
    yield from tenant_families(accounts)
    yield from _queues(snapshot)
    yield from _bulk(snapshot)
    yield from _money(snapshot.money if snapshot else Money())


def _jobs(snapshot: Snapshot | None) -> Iterator[Metric]:
    jobs = GaugeMetricFamily(
        "bide_jobs", "Live jobs; `answering`: ended, the caller has no answer yet.", labels=[*_ACCOUNT, "state"]
    )
    oldest = GaugeMetricFamily(
        "bide_oldest_job_seconds", "Since the oldest job of a state was created.", labels=[*_ACCOUNT, "state"]
    )
    if snapshot:
        for account in snapshot.accounts:
            for state, its in account.jobs.items():
                jobs.add_metric([*account.name, state], its.jobs)
                oldest.add_metric([*account.name, state], max(snapshot.now - its.oldest, 0.0) if its.jobs else 0.0)
    yield jobs
    yield oldest


def _gauge(name: str, text: str, value: Callable[[Account], float | None], accounts: tuple[Account, ...]) -> Metric:
    gauge = GaugeMetricFamily(f"bide_{name}", text, labels=_ACCOUNT)
    for account in accounts:
        if (number := value(account)) is not None:
            gauge.add_metric([*account.name], number)
    return gauge


def _queues(snapshot: Snapshot | None) -> Iterator[Metric]:
    depths = snapshot.queues if snapshot else None
    yield GaugeMetricFamily("bide_broker_up", "1 if the broker answered.", value=depths is not None)
    messages = GaugeMetricFamily(
        "bide_queue_messages", "Messages that wait in a queue of the broker.", labels=["queue"]
    )
    for queue, number in (depths or {}).items():
        messages.add_metric([queue], number)
    yield messages


def _bulk(snapshot: Snapshot | None) -> Iterator[Metric]:
    runs = GaugeMetricFamily("bide_runs", "Bulk runs that are not over.", labels=["state"])
    rows = GaugeMetricFamily("bide_runs_rows", "Rows of these runs, by how far they are.", labels=["state"])
    largest = f"of the {SHOWN_RUNS} runs that run and have most rows left."
    run_rows = GaugeMetricFamily("bide_run_rows", f"All rows {largest}", labels=["run"])
    run_done = GaugeMetricFamily("bide_run_done_rows", f"Rows that have ended, {largest}", labels=["run"])
    if snapshot:
        bulk = snapshot.bulk
        for state in ("starting", "running", "paused", "canceling"):
            runs.add_metric([state], bulk.states.get(state, 0))
        for state, number in bulk.rows.items():
            rows.add_metric([state], number)
        for run in bulk.largest:
            run_rows.add_metric([run.run_id], run.number("rows"))
            run_done.add_metric([run.run_id], run.done)
    yield from (runs, rows, run_rows, run_done)


def _money(money: Money) -> Iterator[Metric]:
    """Amounts in units of their currency."""
    labels = [*_ACCOUNT, "currency"]
    spent = GaugeMetricFamily("bide_spent_today", "What purchases of today (UTC) cost.", labels=labels)
    reserved = GaugeMetricFamily("bide_reserved_today", "Of submits of today whose end is open.", labels=labels)
    for (account, currency), sums in money.by_account.items():
        spent.add_metric([*account, currency], amount(sums.spent))
        reserved.add_metric([*account, currency], amount(sums.reserved))
    most = f"What purchases of today cost, of the {SHOWN_TENANTS} tenants that spent most; the others together."
    tenants = GaugeMetricFamily("bide_tenant_spent_today", most, labels=["tenant", "currency"])
    held = "Of their submits of today whose end is open."
    tenants_reserved = GaugeMetricFamily("bide_tenant_reserved_today", held, labels=["tenant", "currency"])
    for (tenant, currency), sums in money.by_tenant.items():
        tenants.add_metric([tenant, currency], amount(sums.spent))
        tenants_reserved.add_metric([tenant, currency], amount(sums.reserved))
    yield from (spent, reserved, tenants, tenants_reserved)
    labels = ["budget", "currency"]
    for name, text, value in _BUDGETS:
        gauge = GaugeMetricFamily(f"bide_budget_{name}", text, labels=labels)
        for stand in money.budgets:
            gauge.add_metric([stand.budget.name, stand.budget.currency], value(stand))
        yield gauge


#: Gauges of a budget in its present period.
_BUDGETS: tuple[tuple[str, str, Callable[[BudgetStand], float]], ...] = (
    ("limit", "What may be spent in a period.", lambda it: amount(it.budget.amount)),
    ("reserved", "Of submits whose end is open.", lambda it: amount(it.reserved)),
    ("spent", "What is spent in the present period.", lambda it: amount(it.spent)),
    ("waiting_jobs", "Jobs that wait for the budget, out of line.", lambda it: it.waiting),
)
