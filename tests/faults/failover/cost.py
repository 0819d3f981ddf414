"""`python -m tests.faults.failover.cost`: what waiting for a replica adds to a submit; a file for the report."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import click

from bide.ledger import AccountName, Ledger, Limits, Verb
from bide.ledger.connection import connect
from bide.ledger.safety import DISK, Safety
from bide.redis_client import close
from tests.contract.ledger_stage import request_of, taken
from tests.faults.circumstances import MachineLoad, circumstances
from tests.faults.failover.__main__ import RESULTS
from tests.integration.replicated_redis import replicated_redis

SAFETIES = {"disk": DISK, "replica": Safety(replicas=1), "both replicas": Safety(replicas=2)}


@click.command(context_settings={"show_default": True})
@click.option("--jobs", default=2000, help="Submits with each setting, one after the other.")
def main(jobs: int) -> None:
    """Measure the three writes of a submit: record, intent, the provider's id."""
    load, found = MachineLoad(), {}
    with tempfile.TemporaryDirectory(prefix="bide-safe-") as folder, replicated_redis(Path(folder), replicas=2) as led:
        for _ in range(2):  # the first turn warms up
            for name, safety in SAFETIES.items():
                server = connect(led.url)
                found[name] = _milliseconds(Ledger(server, limits=lambda _: Limits(10**6), safety=safety), jobs)
                close(server)
                led.leader.client.flushall()
    for name, values in found.items():
        click.echo(f"{name}: {values}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = {**circumstances(), **load.figures(), "jobs": jobs, "milliseconds": found}
    (RESULTS / "safe-submits.json").write_text(json.dumps(result, indent=1))


def _milliseconds(ledger: Ledger, jobs: int) -> dict[str, list[float]]:
    """p50 and p95 of each write [ms]."""
    account = AccountName("photogpt", "default")
    spent: dict[str, list[float]] = {"record": [], "intent": [], "id": []}
    for number in range(jobs):
        job_id = f"job-{number}"
        began = time.perf_counter()
        ledger.jobs.open(job_id, request_of(), deadline_seconds=900)
        opened = time.perf_counter()
        record = taken(ledger.jobs.step(job_id, account, token="t"), Verb.SUBMIT)
        stepped = time.perf_counter()
        attempt = ledger.submits.intend(record, "t")
        intended = time.perf_counter()
        ledger.submits.submitted(record, "t", attempt=attempt, provider_job_id=f"p-{number}", first_poll_seconds=1)
        for name, seconds in {
            "record": opened - began,
            "intent": intended - stepped,
            "id": time.perf_counter() - intended,
        }.items():
            spent[name].append(1000 * seconds)
    return {name: [round(_share(values, share), 2) for share in (0.5, 0.95)] for name, values in spent.items()}


def _share(values: list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


if __name__ == "__main__":
    main()
