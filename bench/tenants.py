"""`python -m bench.tenants`: how fair a line with tenants is, and what it costs, on a Redis of its own.

The ledger's scripts alone are measured: no worker, no broker, no provider. Lives of jobs without a tenant and of jobs
of five tenants take turns, so that both see the same machine. The best of each counts: a busy machine only adds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import click
import redis

from bench.servers import ROOT
from bench.table import written
from bide.contract import GenerateRequest, JobState
from bide.ledger import AccountName, Hint, Ledger, Limits, Polled, Verb
from bide.ledger.connection import connect
from bide.ledger.jobs import Opening
from bide.ledger.tenants import TenantCaps, caps_text
from tests.integration.servers import redis_server

PAGE = ROOT / "docs" / "tenants.md"

ACCOUNT = AccountName("photogpt", "default")

FIVE = ("acme", "bolt", "cord", "dune", "echo")

#: Jobs of a life that is timed, and how many of them are at the provider at once.
JOBS, AT_ONCE = 100, 50


@dataclass(frozen=True)
class Costs:
    """Jobs a second, and what a job costs Redis [CPU-milliseconds]."""

    jobs_per_second: float
    redis_cpu: float


def request(tenant: str | None, number: int, **fields: str) -> GenerateRequest:
    """A request such as callers send."""
    params = {"modelID": "m1", "prompt": f"a red fox, no. {number}"}
    return GenerateRequest.model_validate(
        {"provider": "photogpt", "operation": "images.generation", "params": params, "tenant": tenant, **fields}
    )


def open_jobs(ledger: Ledger, tenant: str | None, jobs: int) -> None:
    """So many jobs of a tenant in line."""
    for first in range(0, jobs, 500):
        some = range(first, min(first + 500, jobs))
        ledger.jobs.open_many(
            [Opening(f"{tenant or 'none'}-{number}", ACCOUNT, request(tenant, number), 3600.0) for number in some]
        )


class Clock:
    """The ledger's time, turned by hand: a round need not be waited for."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def live(ledger: Ledger, clock: Clock, tenants: Sequence[str | None], jobs: int) -> None:
    """Jobs from the first record to the last answer; each step is a script, and as many as a deployment runs."""
    for number in range(jobs):
        tenant = tenants[number % len(tenants)]
        ledger.jobs.open(f"j{number}", request(tenant, number), deadline_seconds=3600.0, signature="s")
    done, hints = 0, [*ledger.accounts.admit(ACCOUNT, most=AT_ONCE).hints]
    while done < jobs:
        for hint in hints:
            step = ledger.jobs.step(hint.job_id, ACCOUNT, token="t")
            assert step.record
            attempt = ledger.submits.intend(step.record, "t")
            ledger.submits.submitted(
                step.record, "t", attempt=attempt, provider_job_id=f"p-{hint.job_id}", first_poll_seconds=0
            )
        clock.now += 1
        seq = int(ledger.server.hget(f"bide:{{{ACCOUNT}}}:account", "seq") or 0)
        claimed = [job.job_id for job in ledger.polls.claim(ACCOUNT, seq, batch=500).jobs]
        ledger.polls.record(ACCOUNT, [Polled(each, "ended", value="[]") for each in claimed])
        hints = [hint for each in claimed for hint in _store(ledger, each)]
        done += len(claimed)


def _store(ledger: Ledger, job_id: str) -> tuple[Hint, ...]:
    """The job's last steps; the hints of those that its end lets in."""
    step = ledger.jobs.step(job_id, ACCOUNT, token="s")
    assert step.verb is Verb.STORE, step
    assert step.record
    ledger.jobs.conclude(step.record, "s", JobState.SUCCEEDED, result="{}")
    return ledger.jobs.answered(ACCOUNT, job_id).hints


def timed(server: redis.Redis, tenants: Sequence[str | None], jobs: int) -> Costs:
    """The costs of such lives on an empty server."""
    server.flushall()
    clock = Clock()
    ledger = Ledger(server, limits=lambda _: Limits(max_in_flight=AT_ONCE), clock=clock)
    began, cpu = time.perf_counter(), _cpu_seconds(server)
    live(ledger, clock, tenants, jobs)
    seconds = time.perf_counter() - began
    return Costs(jobs / seconds, 1000 * (_cpu_seconds(server) - cpu) / jobs)


def _cpu_seconds(server: redis.Redis) -> float:
    info = server.info("cpu")
    return float(info["used_cpu_sys"]) + float(info["used_cpu_user"])


def costs(server: redis.Redis, runs: int, jobs: int = JOBS) -> tuple[list[Costs], list[Costs]]:
    """Without a tenant and with five, by turns; the first turn of each warms up."""
    without: list[Costs] = []
    five: list[Costs] = []
    for run in range(runs + 1):
        for found, tenants in ((without, (None,)), (five, FIVE)) if run % 2 else ((five, FIVE), (without, (None,))):
            found.append(timed(server, tenants, jobs))
    return without[1:], five[1:]


def shares(server: redis.Redis, *, flood: int, others: int, most: int) -> list[int]:
    """What each of five tenants gets of `most` places, where the first has a flood in line."""
    server.flushall()
    ledger = Ledger(server, limits=lambda _: Limits(max_in_flight=10**6))
    for tenant in FIVE:
        open_jobs(ledger, tenant, flood if tenant == FIVE[0] else others)
    got = [hint.job_id for _ in range(most) for hint in ledger.accounts.admit(ACCOUNT, most=1).hints]
    return [sum(job_id.startswith(tenant) for job_id in got) for tenant in FIVE]


def jain(values: Sequence[float]) -> float:
    """Jain's index of fairness: 1 where all have the same, 1/n where one has all."""
    return sum(values) ** 2 / (len(values) * sum(value**2 for value in values))


def waits(server: redis.Redis, *, flood: int) -> int:
    """How many jobs are let in before the single job of a tenant that comes behind a flood."""
    server.flushall()
    ledger = Ledger(server, limits=lambda _: Limits(max_in_flight=10**6))
    open_jobs(ledger, FIVE[0], flood)
    ledger.accounts.admit(ACCOUNT, most=100)
    ledger.jobs.open("single", request(FIVE[1], 0), deadline_seconds=3600.0)
    return next(n for n in range(flood) if ledger.accounts.admit(ACCOUNT, most=1).hints[0].job_id == "single")


def at_caps(server: redis.Redis, tenants: int) -> float:
    """How long one script lets a job in, where so many tenants with jobs in line are at their cap [milliseconds]."""
    server.flushall()
    caps = caps_text({"*": TenantCaps(max_in_flight=1)})
    ledger = Ledger(server, limits=lambda _: Limits(max_in_flight=10**6, tenant_caps=caps))
    ledger.accounts.sweep(ACCOUNT)
    for number in range(tenants):
        open_jobs(ledger, f"t{number}", 2)
    open_jobs(ledger, None, 200)
    while len(ledger.accounts.admit(ACCOUNT, most=200).hints) == 200:
        pass
    for number in range(200):
        ledger.jobs.open(f"more{number}", request(None, number), deadline_seconds=3600.0)
    took = [_milliseconds(lambda: ledger.accounts.admit(ACCOUNT, most=1)) for _ in range(200)]
    return median(took)


def _milliseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - began)


@contextmanager
def own_server() -> Iterator[redis.Redis]:
    """A Redis that is used for nothing else."""
    with redis_server(appendonly=False) as server, connect(server.url) as client:
        yield client


def report(runs: int) -> str:
    """All figures as a table."""
    with own_server() as server:
        both = costs(server, runs)
        got = shares(server, flood=10_000, others=200, most=500)
        rows = [
            ("Jain's index, five tenants, one with 10,000 jobs in line, 500 places", f"{jain(got):.4f}"),
            ("let in before a single job behind a tenant's 10,000", str(waits(server, flood=10_000))),
            *_compared("jobs a second, whole lives", [max(its.jobs_per_second for its in each) for each in both]),
            *_compared("Redis's CPU for a job [ms]", [min(its.redis_cpu for its in each) for each in both]),
            ("one job let in, 1,000 tenants in line at their cap [ms]", f"{at_caps(server, 1000):.2f}"),
            ("one job let in, 1 tenant in line at its cap [ms]", f"{at_caps(server, 1):.2f}"),
        ]
    return "\n".join(["| what | figure |", "| --- | ---: |", *(f"| {name} | {figure} |" for name, figure in rows)])


def _compared(name: str, values: Sequence[float]) -> Iterator[tuple[str, str]]:
    before, after = values
    yield f"{name}: without a tenant", f"{before:.3g}"
    yield f"{name}: five tenants", f"{after:.3g} ({after / before - 1:+.1%})"


@click.command(context_settings={"show_default": True})
@click.option("--runs", default=40, help="How often each kind of life is timed; the best is shown.")
@click.option("--write", is_flag=True, help="Write the table into docs/tenants.md.")
def main(runs: int, write: bool) -> None:
    """Measure fairness and costs of a line with tenants."""
    text = report(runs)
    click.echo(text)
    if write:
        PAGE.write_text(written(PAGE.read_text(), text))


if __name__ == "__main__":
    main()
