"""`python -m bench.storing`: how many results a worker stores a second and core, by the store step alone.

The ledger's own scripts put jobs in the state `storing`. A worker then does all that follows a report of the provider:
it takes the message, downloads, checks, hashes and uploads the picture, writes `job.json`, and answers the caller.
"""

from __future__ import annotations

import json
import statistics
import urllib.request
from collections.abc import Sequence

import click
from celery import Celery

from bench import proc, workload
from bench.contenders import Bide
from bench.seeding import Seeder
from bench.servers import wait_until
from bench.sizes import RESULT_BYTES
from bench.stage import bide
from bench.waves import await_all, ends_of, names_of
from workers.services.dispatcher import Dispatcher

#: How long the provider takes for a job [seconds]: its result is there before the worker hears of it.
LATENCY_SECONDS = 0.1

#: Results that are stored before any is counted.
WARM_JOBS = 100


def stored_per_core(one: Bide, wave: str, jobs: int) -> float:
    """Results a second and core, over so many of them."""
    names = names_of(one, wave, jobs)
    before = proc.cpu_seconds([one.worker_pid])
    _report(one, names)
    if not await_all(one, names) or ends_of(one, names)["lost"]:
        raise click.ClickException("not all results were stored")
    return jobs / (proc.cpu_seconds([one.worker_pid]) - before)


def _report(one: Bide, names: Sequence[str]) -> None:
    """Have the ledger know of a result of each job, and send the messages that this asks for."""
    seeder, dispatcher = Seeder(one.world.redis), Dispatcher(Celery("feeder", broker=one.world.redis_url))
    prepared, ids = list(seeder.prepared(names)), one.world.accept(names)
    for (record, attempt), job in zip(prepared, ids, strict=True):
        media = json.dumps([["image", _address(job)]])
        messages = seeder.ledger.submits.submitted(
            record, record.text("token"), attempt=attempt, provider_job_id=job, outputs=media
        )
        dispatcher.send(messages)


def _address(job: str) -> str:
    """Where the provider has a job's picture, once it is done."""
    found: list[str] = []

    def asked() -> bool:
        request = urllib.request.Request(workload.poll_url(job), headers=workload.HEADERS)
        with urllib.request.urlopen(request) as answer:
            found.extend(filter(None, [workload.picture_url(json.load(answer))]))
        return bool(found)

    if not wait_until(asked):
        raise click.ClickException("the provider did not make a picture")
    return found[0]


@click.command(context_settings={"show_default": True})
@click.option("--jobs", default=1000, help="Results of each turn.")
@click.option("--turns", default=3)
def main(*, jobs: int, turns: int) -> None:
    """Measure the store step."""
    with bide(latency_seconds=LATENCY_SECONDS) as one:
        stored_per_core(one, "warm", WARM_JOBS)
        found = [stored_per_core(one, f"turn-{turn}", jobs) for turn in range(turns)]
    each = ", ".join(f"{rate:.0f}" for rate in found)
    click.echo(
        f"{statistics.median(found):.0f} results of {RESULT_BYTES / 1000:g} kB a second and core "
        f"({each}); a result takes {1000 / statistics.median(found):.2f} ms of the worker's CPU"
    )


if __name__ == "__main__":
    main()
