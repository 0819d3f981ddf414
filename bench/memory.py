"""`python -m bench.memory`: what one finished job takes of Redis, by kind of key, whole and packed.

The server is a real one. MEMORY USAGE says what each key takes, without its entry in the table of times to live; the
last rows are what the server counts in all.
"""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import click
import redis

from bench.finished import Maker
from bench.proc import machine
from bench.servers import ROOT, _on_a_port, _redis, end
from bench.table import written
from bide.ledger.connection import connect

PAGE = ROOT / "docs" / "scaling.md"

#: Kinds of keys by what their names begin with, behind the account.
KINDS: Mapping[str, str] = {
    "record": r"bide:\{.*\}:job:",
    "request": r"bide:\{.*\}:body:",
    "list of recent jobs": r"bide:\{.*\}:recent$",
    "index of provider ids": r"bide:\{.*\}:pids:",
    "idempotency key": r"bide:idem:",
    "Celery's result": r"celery-task-meta-",
    "all else": r"",
}

#: The kinds of jobs that are measured, and how one is made.
JOBS: Mapping[str, Callable[[Maker], str]] = {
    "1 output": lambda maker: maker.succeeded(1),
    "2 outputs": lambda maker: maker.succeeded(2),
    "4 outputs": lambda maker: maker.succeeded(4),
    "1 output, idempotency key": lambda maker: maker.succeeded(1, idempotent=True),
    "failed": Maker.failed,
}

ALL, LEDGER = "all, as the server counts", "all without Celery's result"


def measure(server: redis.Redis, make: Callable[[Maker], str], *, jobs: int, packs: bool) -> dict[str, float]:
    """The bytes of a finished job by kind of key."""
    server.flushall()
    maker = Maker(server, packs=packs)
    make(maker)  # the server keeps the scripts from now on
    empty = _used_bytes(server)
    for _ in range(jobs):
        make(maker)
    whole, found = _used_bytes(server) - empty, by_kind(server)
    for key in [*server.scan_iter("celery-task-meta-*", count=1000)]:
        server.delete(key)
    found[ALL], found[LEDGER] = whole, _used_bytes(server) - empty
    return {kind: value / jobs for kind, value in found.items()}


def by_kind(server: redis.Redis) -> dict[str, float]:
    """The bytes of all keys, by their kind."""
    found: dict[str, float] = defaultdict(float)
    for key in server.scan_iter(count=1000):
        kind = next(kind for kind, pattern in KINDS.items() if re.match(pattern, key))
        found[kind] += int(server.memory_usage(key, samples=0) or 0)
    return found


def _used_bytes(server: redis.Redis) -> float:
    return float(server.info("memory")["used_memory"])


def report(measured: Mapping[str, tuple[dict[str, float], dict[str, float]]], jobs: int, version: str) -> str:
    """The tables in Markdown: whole and packed, side by side."""
    rows = [*KINDS, ALL, LEDGER]
    lines = [
        f"{machine()}. Redis {version}, {jobs:,} jobs of each kind over four accounts. Bytes of a finished job, "
        "whole and packed:",
        "",
        f"| | {' | '.join(measured)} |",
        f"| --- |{' ---: |' * len(measured)}",
    ]
    for row in rows:
        cells = (f"{whole.get(row, 0):,.0f} to {packed.get(row, 0):,.0f}" for whole, packed in measured.values())
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)


@click.command(context_settings={"show_default": True})
@click.option("--jobs", default=4000, help="Finished jobs of each kind.")
@click.option("--write", is_flag=True, help="Write the table into docs/scaling.md.")
def main(jobs: int, write: bool) -> None:
    """Measure what finished jobs take of Redis."""
    with tempfile.TemporaryDirectory(prefix="bide-memory-", ignore_cleanup_errors=True) as folder:
        process, port = _on_a_port(_redis, Path(folder))
        try:
            with connect(f"redis://127.0.0.1:{port}/0") as server:
                version = str(server.info("server")["redis_version"])
                measured = {
                    name: (
                        measure(server, make, jobs=jobs, packs=False),
                        measure(server, make, jobs=jobs, packs=True),
                    )
                    for name, make in JOBS.items()
                }
        finally:
            end(process)
    text = report(measured, jobs, version)
    click.echo(text)
    if write:
        PAGE.write_text(written(PAGE.read_text(), text, name="memory"))


if __name__ == "__main__":
    main()
