"""`python -m tests.faults.failover.cost`: what waiting for a replica adds to a submit; a file for the report."""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
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

#: Longer than anything takes here: what is measured is how long it takes.
PATIENT_SECONDS = 8.0

#: The first submits with each setting, which are not counted.
WARM_UP = 20

SAFETIES = {
    "disk": DISK,
    "replica": Safety(replicas=1, seconds=PATIENT_SECONDS),
    "replica, both": Safety(replicas=2, seconds=PATIENT_SECONDS),
}


@click.command(context_settings={"show_default": True})
@click.option("--jobs", default=2000, help="Submits with each setting, by turns.")
def main(jobs: int) -> None:
    """Measure the three writes of a submit: record, intent, the provider's id."""
    load = MachineLoad()
    spent: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in SAFETIES}
    with tempfile.TemporaryDirectory(prefix="bide-safe-") as folder, replicated_redis(Path(folder), replicas=2) as led:
        servers = {name: connect(led.url) for name in SAFETIES}
        ledgers = {
            name: Ledger(servers[name], limits=lambda _: Limits(10**6), safety=safety)
            for name, safety in SAFETIES.items()
        }
        for number in range(jobs + WARM_UP):  # by turns: the machine's load is the same for all
            for name, ledger in ledgers.items():
                _submit(ledger, f"{name[-4:]}-{number}", spent[name] if number >= WARM_UP else defaultdict(list))
        for server in servers.values():
            close(server)
    found = {
        name: {write: [round(_share(values, share), 2) for share in (0.5, 0.95)] for write, values in writes.items()}
        for name, writes in spent.items()
    }
    for name, writes in found.items():
        click.echo(f"{name}: {writes}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = {**circumstances(), **load.figures(), "jobs": jobs, "milliseconds": found}
    (RESULTS / "safe-submits.json").write_text(json.dumps(result, indent=1))


def _submit(ledger: Ledger, job_id: str, spent: dict[str, list[float]]) -> None:
    """One submit; adds how long each write took [ms]."""
    account = AccountName("photogpt", "default")
    began = time.perf_counter()
    ledger.jobs.open(job_id, request_of(), deadline_seconds=900)
    spent["record"].append(1000 * (time.perf_counter() - began))
    record = taken(ledger.jobs.step(job_id, account, token="t"), Verb.SUBMIT)
    began = time.perf_counter()
    attempt = ledger.submits.intend(record, "t")
    spent["intent"].append(1000 * (time.perf_counter() - began))
    began = time.perf_counter()
    ledger.submits.submitted(record, "t", attempt=attempt, provider_job_id=job_id, first_poll_seconds=1)
    spent["id"].append(1000 * (time.perf_counter() - began))


def _share(values: list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


if __name__ == "__main__":
    main()
