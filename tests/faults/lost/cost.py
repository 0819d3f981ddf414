"""`python -m tests.faults.lost.cost`: what a receipt adds to a submit, on a real store; a file for the report."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from bide.cli.stores import object_store
from bide.ledger import AccountName, Ledger, Limits, Verb
from bide.ledger.connection import connect
from bide.ledger.records import BoughtWith
from tests.contract.ledger_stage import request_of, taken
from tests.faults.circumstances import MachineLoad, circumstances
from tests.faults.lost.__main__ import RESULTS
from tests.integration.object_store import ObjectStore
from tests.integration.servers import RedisServer
from workers.services.receipt_writer import ReceiptWriter

ACCOUNT = AccountName("photogpt", "default")


@click.command(context_settings={"show_default": True})
@click.option("--jobs", default=1000, help="Submits with each number at once.")
def main(jobs: int) -> None:
    """Measure the intent, and its receipt besides, for 1 and for 32 submits at once."""
    load, found = MachineLoad(), {}
    with tempfile.TemporaryDirectory(prefix="bide-receipts-") as folder, ExitStack() as stack:
        (Path(folder) / "redis").mkdir()
        redis, store = RedisServer(Path(folder) / "redis", appendonly=True), ObjectStore(Path(folder))
        for server in (redis, store.process):
            stack.callback(server.kill)
            server.start()
        for at_once in (1, 32):
            found[str(at_once)] = _measured(redis.url, store.environment(), at_once, jobs)
            click.echo(f"{at_once} at once: {found[str(at_once)]}")
    RESULTS.mkdir(parents=True, exist_ok=True)
    result = {**circumstances(), **load.figures(), "jobs": jobs, "at_once": found}
    (RESULTS / "receipts.json").write_text(json.dumps(result, indent=1))


def _measured(url: str, environment: dict[str, str], at_once: int, jobs: int) -> dict[str, Any]:
    server, storage = connect(url), object_store(environment)
    assert storage is not None
    ledger, puts, counting = Ledger(server, limits=lambda _: Limits(10**6)), [0], threading.Lock()
    put = storage.put

    def counted(*given: Any, **how: Any) -> str:
        with counting:
            puts[0] += 1
        return put(*given, **how)

    storage.put = counted  # type: ignore[method-assign]  # counts what the writer puts
    writer = ReceiptWriter(ledger, lambda: storage, lambda: "bide-receipts/cost/", seconds=60)
    spent: dict[str, list[float]] = {"intent": [], "receipt": []}

    def submit(number: int) -> None:
        job_id = f"{at_once}-{number}"
        ledger.jobs.open(job_id, request_of(), deadline_seconds=900)
        record = taken(ledger.jobs.step(job_id, ACCOUNT, token="t"), Verb.SUBMIT)
        began = time.perf_counter()
        attempt = ledger.submits.intend(record, "t")
        intended = time.perf_counter()
        writer.begin(record, attempt)
        spent["receipt"].append(1000 * (time.perf_counter() - intended))
        spent["intent"].append(1000 * (intended - began))
        writer.accepted(record, attempt, job_id, BoughtWith(), outputs="", partial="")

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(submit, range(jobs)))
    writer.stop()
    server.close()
    shares = {name: [round(_share(values, share), 2) for share in (0.5, 0.95)] for name, values in spent.items()}
    return {**shares, "puts_per_job": round(puts[0] / jobs, 3)}


def _share(values: list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


if __name__ == "__main__":
    main()
