"""One SIGKILL while half of the jobs are bought and the others are being submitted; then all are counted."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from bench.contenders import Bide, Contender
from bench.figures import Values
from bench.servers import wait_until
from bench.waves import ends_of, names_of

#: Between two counts [seconds].
_COUNT_SECONDS = 1.0


def measure(contender: Contender, *, jobs: int, quiet_seconds: float, patience_seconds: float) -> Values:
    """Kill, start anew, and wait until nothing changes any more."""
    names, world = names_of(contender, "kill", jobs), contender.world
    contender.submit(names)
    wait_until(lambda: world.bought() >= jobs // 2, seconds=patience_seconds, every=0.02)
    bought = world.bought()
    contender.kill()
    # what is kept nowhere does not come back
    quiet = quiet_seconds if contender.durable else 2 * world.latency_seconds
    changing_seconds = _wait_for_quiet(contender, names, quiet, patience_seconds)
    ends = ends_of(contender, names)
    unconfirmed = _unconfirmed(contender, names)
    return {
        "jobs": jobs,
        "bought_at_kill": bought,
        "settled_seconds": changing_seconds,
        "without_result": ends["lost"],
        "told_of_doubt": unconfirmed,
        "lost": (ends["lost"] or 0) - unconfirmed,
        "bought_twice": ends["bought_twice"],
    }


def _wait_for_quiet(contender: Contender, names: Sequence[str], quiet_seconds: float, patience_seconds: float) -> float:
    """How long after the kill something still happened [seconds]."""
    began = changed = time.monotonic()
    before: object = None
    while (now := time.monotonic()) - began < patience_seconds and now - changed < quiet_seconds:
        finished = contender.finished(names)
        over = finished + _unconfirmed(contender, names) >= len(names)
        state = finished, contender.world.bought(), contender.world.asked()
        if state != before:
            before, changed = state, now
        if over:
            break
        time.sleep(_COUNT_SECONDS)
    return changed - began


def _unconfirmed(contender: Contender, names: Sequence[str]) -> int:
    """Callers whose answer is that their job may have been bought; it is then on a list for operators."""
    if not isinstance(contender, Bide):
        return 0
    results = contender.world.redis.mget([f"celery-task-meta-{name}" for name in names])
    assert isinstance(results, list)
    return sum("submission_unknown" in json.dumps(result) for result in results if result)
