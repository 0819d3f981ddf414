"""How soon a submitted job's first step starts where nothing else is to be done."""

from __future__ import annotations

import random
import time

from bench import workload
from bench.contenders import Bide
from bench.figures import Values, spread
from bench.servers import wait_until
from bench.waves import names_of
from bide.client import Client
from bide.ledger import AccountName, Ledger

#: Between two submits, drawn by lot [seconds].
PAUSE_SECONDS = (0.05, 0.1)

#: Latency of the jobs [seconds]: none ends and none is polled while others are submitted.
LATENCY_SECONDS = 3600.0

#: bide's variables for that.
ENVIRONMENT = {
    "BIDE_PROVIDERS__PHOTOGPT__POLL_FIRST_SECONDS": "600",
    "BIDE_PROVIDERS__PHOTOGPT__POLL_CAP_SECONDS": "600",
}

#: Submits that are not counted, and how long the last may take [seconds].
WARM_JOBS, PATIENCE_SECONDS = 40, 20.0


def measure(bide: Bide, *, jobs: int) -> Values:
    """From `Client.submit` called until the intent to buy is in the ledger, and until the provider has the request."""
    _submit(bide, names_of(bide, "warm", WARM_JOBS))
    begun = _submit(bide, names_of(bide, "start", jobs))
    bought = {str(one["reference"]): float(one["time"]) for one in bide.world.purchases(set(begun))}
    intended = _intended(bide, list(begun))
    return {
        "jobs": jobs,
        "lost": jobs - len(bought),
        **spread("step", [intended[name] - at for name, at in begun.items() if name in intended]),
        **spread("arrival", [bought[name] - at for name, at in begun.items() if name in bought]),
    }


def _submit(bide: Bide, names: list[str]) -> dict[str, float]:
    begun, before = {}, bide.world.bought()
    with Client(bide.world.redis_url) as client:
        for name in names:
            time.sleep(random.uniform(*PAUSE_SECONDS))
            begun[name] = time.time()
            client.submit(
                {"provider": "photogpt", "operation": "images.generation", "params": workload.params(name)}, job_id=name
            )
    wait_until(lambda: bide.world.bought() - before >= len(names), seconds=PATIENCE_SECONDS)
    return begun


def _intended(bide: Bide, names: list[str]) -> dict[str, float]:
    """When each job's first step wrote that it is about to buy, by the clock of the ledger."""
    jobs = Ledger(bide.world.redis).jobs
    records = {name: jobs.read(AccountName("photogpt", "default"), name) for name in names}
    return {name: record.number("intended") for name, record in records.items() if record and record.text("intended")}
