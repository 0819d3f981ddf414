"""`python -m bench.scaling`: what polls cost the ledger with 1, 2 and 4 polling processes, and what follows.

The provider answers at once here, so that the ledger is all that is measured: claim, record, next round.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import redis

from bench.finished import Maker
from bench.proc import machine
from bench.records import FILE, read, summaries
from bench.scaling_model import Costs, Load, lateness, needs, polls_per_second
from bench.servers import ROOT, _on_a_port, _redis, end, read_line, spawn
from bench.sizes import ONE_POLLER
from bench.table import written
from bide.contract import GenerateRequest
from bide.ledger import AccountName, Ledger, Limits
from bide.ledger.connection import connect
from bide.percentiles import percentiles
from bide.polling.backoff import PollPlan
from workers.embedded.environment import demo_environment

PAGE = ROOT / "docs" / "scaling.md"

#: Accounts of a run, shared out among its processes.
ACCOUNTS = tuple(AccountName("photogpt", f"a{number}") for number in range(8))

#: What a job costs beside its polls [seconds of CPU: worker, Redis with broker], and a poll with its HTTP [seconds],
#: where `python -m bench` has not measured it.
WORKER_SECONDS_PER_JOB, REDIS_SECONDS_PER_JOB, SECONDS_PER_POLL = 0.020, 0.003, 0.0007

#: Loads that are worked out: jobs a second, seconds at the provider, polls a job, learned.
LOADS = (
    Load(1, 30, 2),
    Load(30, 60, 2),
    Load(100, 60, 2),
    Load(100, 60, 2, accounts=1000),
    Load(500, 100, 2),
    Load(1000, 100, 2, retention_seconds=24 * 3600.0),
)

#: Sweeps and watches of an idle account, whose price is measured.
TIMES = 1000


@dataclass(frozen=True)
class Measured:
    """One run."""

    processes: int
    polls_per_second: float
    poller_seconds_per_poll: float
    redis_seconds_per_poll: float
    redis_share: float


def fill(server: redis.Redis, jobs: int) -> tuple[float, float]:
    """Jobs at the provider in all accounts; returns the bytes of a waiting job, and of a finished one."""
    ledger = Ledger(server, limits=lambda _: Limits(max_in_flight=jobs))
    empty = _used_bytes(server)
    for number in range(jobs):
        _accept(ledger, ACCOUNTS[number % len(ACCOUNTS)], f"8c1f7a0e-53c1-4a57-9f0b-{number:012d}")
    waiting = (_used_bytes(server) - empty) / jobs
    maker, some = Maker(server, packs=True, results=False), max(jobs // 4, 1)
    maker.succeeded(1)  # the server keeps the scripts from now on
    before = _without_lists(server)
    for _ in range(some):
        maker.succeeded(1)
    return waiting, (_without_lists(server) - before) / some


def _accept(ledger: Ledger, account: AccountName, job_id: str) -> None:
    params: dict[str, Any] = {"modelID": "m1", "prompt": "a red fox in the snow, golden hour, 85 mm", "numImages": 1}
    request = GenerateRequest(
        provider=account.provider, account=account.account, operation="images.generation", params=params
    )
    signature = json.dumps(
        {"task": "bide.generate", "id": job_id, "options": {"root_id": job_id, "queue": "bide.submit"}}
    )
    record = ledger.jobs.step(job_id, account, token="t" * 32, request=request, signature=signature).record
    assert record is not None
    attempt = ledger.submits.intend(record, "t" * 32)
    ledger.submits.submitted(record, "t" * 32, attempt=attempt, provider_job_id=job_id[::-1])


def _without_lists(server: redis.Redis) -> float:
    """The bytes in use without the lists of recent jobs, which do not grow with the jobs that are remembered."""
    for key in [*server.scan_iter("bide:{*}:recent", count=1000)]:
        server.delete(key)
    return _used_bytes(server)


def idle_prices(server: redis.Redis) -> tuple[float, float]:
    """Redis's CPU for a sweep of an idle account with all that belongs to it, and for a watch [seconds]."""
    ledger, account = Ledger(server), AccountName("photogpt", "idle")

    def swept() -> None:
        ledger.accounts.sweep(account)
        ledger.accounts.admit(account)
        ledger.callbacks.due(account)

    return _price(server, swept), _price(server, lambda: ledger.accounts.watch(account))


def _price(server: redis.Redis, call: Callable[[], object]) -> float:
    call()
    before = _redis_cpu(server)
    for _ in range(TIMES):
        call()
    return (_redis_cpu(server) - before) / TIMES


def _used_bytes(server: redis.Redis) -> float:
    return float(server.info("memory")["used_memory"])


def _redis_cpu(server: redis.Redis) -> float:
    cpu = server.info("cpu")
    return float(cpu["used_cpu_user"]) + float(cpu["used_cpu_sys"])


def run(server: redis.Redis, url: str, processes: int, seconds: float) -> Measured:
    """Poll with so many processes for a while."""
    started = []
    try:
        for number in range(processes):
            accounts = [str(account) for account in ACCOUNTS[number::processes]]
            command = [sys.executable, "-m", "bench.scaling_poller", url, *accounts, "--seconds", str(seconds)]
            started.append(spawn(command, demo_environment()))
        for process in started:
            read_line(process, "ready")
        before = _redis_cpu(server)
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        figures = [json.loads(read_line(process, "{")) for process in started]
        spent = _redis_cpu(server) - before
    finally:
        for process in started:
            end(process)
    polls, cpu = sum(each["polls"] for each in figures), sum(each["cpu_seconds"] for each in figures)
    return Measured(processes, polls / seconds, cpu / polls, spent / polls, spent / seconds)


def report(runs: Sequence[Measured], memory: tuple[float, float], idle: tuple[float, float]) -> str:
    """What was measured, and what the model makes of it, in Markdown."""
    (waiting_bytes, finished_bytes), (sweep, watch) = memory, idle
    lines = [
        "| pollers | polls per second | as the model has it | poller CPU per poll [µs] | Redis CPU per poll [µs] "
        "| Redis, of a core |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    first = runs[0]
    for each in runs:
        modelled = polls_per_second(
            each.processes,
            alone=first.polls_per_second / first.processes,
            poller_seconds=first.poller_seconds_per_poll,
            redis_seconds=first.redis_seconds_per_poll,
            cores=os.cpu_count() or 1,
        )
        poller, ledger = each.poller_seconds_per_poll * 1e6, each.redis_seconds_per_poll * 1e6
        lines.append(
            f"| {each.processes} | {each.polls_per_second:,.0f} | {modelled:,.0f} | {poller:.0f} | {ledger:.0f} "
            f"| {each.redis_share:.0%} |"
        )
    worker, redis_of_job, poll = prices(first.redis_seconds_per_poll)
    costs = Costs(poll, first.redis_seconds_per_poll, worker, redis_of_job, waiting_bytes, finished_bytes, sweep, watch)
    where = f"{machine()}. Python {platform.python_version()}, redis {version('redis')}. {datetime.now(UTC):%Y-%m-%d}."
    kept = (
        f"A waiting job takes {waiting_bytes / 1000:.2f} kB of Redis, a finished one {finished_bytes / 1000:.2f} kB. "
        f"Redis's CPU for a job without its polls: {redis_of_job * 1e6:.0f} µs; to sweep an idle account: "
        f"{sweep * 1e6:.0f} µs, to watch it: {watch * 1e6:.0f} µs. A worker's CPU for a job: {worker * 1e3:.1f} ms, a "
        f"poller's for a poll with its HTTP: {poll * 1e6:.0f} µs."
    )
    return "\n".join([where, "", *lines, "", kept, "", *_worked_out(costs), "", *_simulated(costs)])


def prices(redis_seconds_per_poll: float, file: Path = FILE) -> tuple[float, float, float]:
    """Worker's and Redis's CPU for a job beside its polls, and a poller's for a poll [seconds], as last measured."""
    found = read(file)
    burst, flight = summaries(found, "burst").get("bide"), summaries(found, "in flight").get(ONE_POLLER)
    poll = (flight.median("cpu_per_1000_polls") if flight else None) or 1000 * SECONDS_PER_POLL
    job, of_redis, polls = (
        burst.median(name) if burst else None for name in ("cpu_per_1000", "redis_cpu_per_1000", "polls_per_job")
    )
    if job is None or of_redis is None or polls is None:
        return WORKER_SECONDS_PER_JOB, REDIS_SECONDS_PER_JOB, poll / 1000
    return (job - polls * poll) / 1000, max(of_redis / 1000 - polls * redis_seconds_per_poll, 0.0), poll / 1000


def _worked_out(costs: Costs) -> list[str]:
    lines = [
        "| jobs/s | in flight | accounts | days kept | pollers | workers | Redis cores | Redis [GB] | ledgers |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for load in LOADS:
        found = needs(load, costs)
        lines.append(
            f"| {load.jobs_per_second:,.0f} | {load.in_flight:,.0f} | {load.accounts:,} | "
            f"{load.retention_seconds / 86400:.0f} | {found.pollers:.1f} | {found.workers:.1f} | "
            f"{found.redis_cores:.2f} | {found.redis_bytes / 1e9:,.1f} | {found.ledgers} |"
        )
    return lines


def _simulated(costs: Costs) -> list[str]:
    lines = [
        "| in flight, asked every 10 s | accounts | pollers | polls late by, p50 / p95 [s] (simulated) |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for in_flight, accounts, pollers in ((2000, 1, 1), (20_000, 1, 1), (20_000, 1, 2), (20_000, 8, 2), (50_000, 8, 4)):
        late = lateness(
            in_flight=in_flight,
            plan=PollPlan(10, 1, 10),
            pollers=pollers,
            accounts=accounts,
            seconds_per_poll=costs.poller_seconds_per_poll,
        )
        half, most = percentiles(late, 50, 95)
        lines.append(f"| {in_flight:,} | {accounts} | {pollers} | {half:.2f} / {most:.2f} |")
    return lines


@click.command(context_settings={"show_default": True})
@click.option("--processes", type=int, multiple=True, default=(1, 2, 4))
@click.option("--jobs", default=8000, help="Jobs in flight.")
@click.option("--seconds", default=8.0, help="How long each run takes.")
@click.option("--write", is_flag=True, help="Write the tables into docs/scaling.md.")
def main(processes: tuple[int, ...], jobs: int, seconds: float, write: bool) -> None:
    """Measure the ledger under several pollers, and work out what a load takes."""
    with tempfile.TemporaryDirectory(prefix="bide-scaling-", ignore_cleanup_errors=True) as folder:
        process, port = _on_a_port(_redis, Path(folder))
        try:
            url = f"redis://127.0.0.1:{port}/0"
            with connect(url) as server:
                memory, idle = fill(server, jobs), idle_prices(server)
                runs = [run(server, url, count, seconds) for count in processes]
        finally:
            end(process)
    text = report(runs, memory, idle)
    click.echo(text)
    if write:
        PAGE.write_text(written(PAGE.read_text(), text))


if __name__ == "__main__":
    main()
