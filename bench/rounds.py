"""`python -m bench.rounds`: a poller's CPU for a whole poll, by aiohttp and by httpx, in turns on the same jobs.

A round claims jobs of a real Redis, asks a provider in another process, judges the answers, records them and sends the
next round's message. What Celery does with that message, and the messages of jobs that end, are left out.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

import click

from bench.seeding import Seeder
from bench.servers import ROOT, World
from bench.stage import servers

#: Jobs at the provider; each comes up again after a second, so that rounds are full.
JOBS = 2000

_PLAN = "BIDE_PROVIDERS__PHOTOGPT__POLL_"
_ENVIRONMENT = {f"{_PLAN}FIRST_SECONDS": "1", f"{_PLAN}CAP_SECONDS": "1", f"{_PLAN}LEARN": "false"}


def accept(world: World) -> None:
    """Put the jobs in flight."""
    seeder, names = Seeder(world.redis), [f"polled-{number}" for number in range(JOBS)]
    prepared = list(seeder.prepared(names))
    for one, job in zip(prepared, world.accept(names), strict=True):
        seeder.accepted(one, job, first_poll_seconds=0.0)


def cpu_of_one(world: World, client: str, polls: int) -> float:
    """CPU of one poll in a poller of its own [seconds]."""
    command = [sys.executable, "-m", "bench.rounds_poller", client, str(polls)]
    environment = {**world.environment, **_ENVIRONMENT}
    ended = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(ended.stdout.splitlines()[-1])


@click.command()
@click.option("--polls", default=4000, show_default=True, help="Polls that are measured in a turn.")
@click.option("--turns", default=3, show_default=True)
def main(*, polls: int, turns: int) -> None:
    """Measure a poller's whole poll."""
    found: dict[str, list[float]] = {"httpx": [], "aiohttp": []}
    with servers(latency_seconds=36_000.0) as world:
        accept(world)
        for _ in range(turns):
            for client, each in found.items():
                each.append(cpu_of_one(world, client, polls))
    medians = {client: statistics.median(each) for client, each in found.items()}
    for client, median in medians.items():
        click.echo(f"a poll by {client}: {median * 1e6:.0f} µs, {median / medians['httpx']:.2f} of that by httpx")


if __name__ == "__main__":
    main()
