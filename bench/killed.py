"""One SIGKILL while half of the jobs are bought and the others are being submitted; then all are counted."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from bench.contenders import Bide, Contender
from bench.figures import Values
from bench.servers import wait_until
from bench.waves import ends_of, names_of

#: Between two looks [seconds].
_LOOK_SECONDS = 1.0


def measure(contender: Contender, *, jobs: int, quiet_seconds: float, patience_seconds: float) -> Values:
    """Kill, start anew, and wait until nothing changes any more."""
    names, world = names_of(contender, "kill", jobs), contender.world
    contender.submit(names)
    wait_until(lambda: world.bought() >= jobs // 2, seconds=patience_seconds, every=0.02)
    bought = world.bought()
    contender.kill()
    # what is kept nowhere does not come back
    quiet = quiet_seconds if contender.durable else 2 * world.latency_seconds
    settled = _settle(contender, names, quiet, patience_seconds)
    ends = ends_of(contender, names)
    told = _told_of_doubt(contender, names)
    return {
        "jobs": jobs,
        "bought_at_kill": bought,
        "settled_seconds": settled,
        "without_result": ends["lost"],
        "told_of_doubt": told,
        "lost": (ends["lost"] or 0) - told,
        "bought_twice": ends["bought_twice"],
    }


def _settle(contender: Contender, names: Sequence[str], quiet_seconds: float, patience_seconds: float) -> float:
    """How long after the kill something still happened [seconds]."""
    began = changed = time.monotonic()
    before: object = None
    while (now := time.monotonic()) - began < patience_seconds and now - changed < quiet_seconds:
        finished = contender.finished(names)
        over = finished + _told_of_doubt(contender, names) >= len(names)
        state = finished, contender.world.bought(), contender.world.asked()
        if state != before:
            before, changed = state, now
        if over:
            break
        time.sleep(_LOOK_SECONDS)
    return changed - began


def _told_of_doubt(contender: Contender, names: Sequence[str]) -> int:
    """Callers that were told that their job may have been bought, which then stands on a list for operators."""
    if not isinstance(contender, Bide):
        return 0
    results = contender.world.redis.mget([f"celery-task-meta-{name}" for name in names])
    assert isinstance(results, list)
    return sum("submission_unknown" in json.dumps(result) for result in results if result)
