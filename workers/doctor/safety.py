"""Whether replicas acknowledge what is written, where `BIDE_LEDGER__SAFE=replica` has bide wait for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import redis

from bide.ledger.safety import Safety
from bide.redis_client import close
from bide.redis_errors import words_of
from bide.settings.model import Settings
from workers.doctor.findings import Finding, ok, problem, warning
from workers.doctor.replication import Reach
from workers.health.checks import PROBE_KEY

#: How long the key is kept that a test writes [seconds].
PROBE_SECONDS = 60


def check_safety(settings: Settings, reach: Reach) -> Iterator[Finding]:
    """Write to the ledger, and wait as a submit does."""
    ledger = settings.ledger
    if ledger.safe == "disk":
        return
    check, safety = "safety of the ledger", Safety(ledger.safe_replicas, ledger.safe_seconds)
    server = reach(settings.ledger_url)
    try:
        replicas = int(dict[str, Any](server.info("replication")).get("connected_slaves") or 0)
        acknowledged, seconds = _waited(server, safety)
    except redis.RedisError as error:
        words = f"nothing is submitted: a write can't be waited for: {words_of(error)}"
        yield problem(
            check, words, "take a Redis that knows WAIT, let bide's user call it, or set BIDE_LEDGER__SAFE=disk"
        )
        return
    finally:
        close(server)
    yield _acknowledged(check, safety, replicas, acknowledged, seconds)
    if replicas > safety.replicas:
        words = (
            f"{safety.replicas} of {replicas} replicas acknowledge a purchase; Sentinel has one lead that lacks least"
        )
        yield ok(f"{check} under Sentinel", f"{words}; any other failover, or one that has lost it too, may lose it")


def _waited(server: redis.Redis, safety: Safety) -> tuple[int, float]:
    """How many replicas acknowledged a write, and how long that took [seconds]; one connection does both."""
    with server.pipeline(transaction=False) as pipeline:
        pipeline.set(PROBE_KEY, "", ex=PROBE_SECONDS)
        pipeline.wait(safety.replicas, max(1, int(1000 * safety.seconds)))
        began = time.monotonic()
        _, acknowledged = pipeline.execute()
        return int(acknowledged), time.monotonic() - began


def _acknowledged(check: str, safety: Safety, replicas: int, acknowledged: int, seconds: float) -> Finding:
    if acknowledged >= safety.replicas:
        words = f"{acknowledged} of {replicas} replicas acknowledged a write in {1000 * seconds:.1f} ms"
        if safety.seconds / 2 < seconds:
            remedy = "look at the replicas' load and network, or raise BIDE_LEDGER__SAFE_SECONDS"
            return warning(check, f"{words}, more than half of the time that they have", remedy)
        return ok(check, f"{words}: nothing is bought, and no job accepted, before {safety.replicas} have")
    words = f"nothing is submitted: {acknowledged} of {safety.replicas} replicas acknowledged a write"
    remedy = f"start or mend replicas ({replicas} connected), or lower BIDE_LEDGER__SAFE_REPLICAS"
    return problem(check, f"{words} within {safety.seconds:g} s", remedy)
