"""What goes wrong, when, and for how long: drawn from a seed, so that the same seed draws the same plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

#: Usual mean time from one event to the next, and the time before the first one [seconds].
GAP_SECONDS, CALM_SECONDS = 2.0, 4.0

#: How long a process that was started again is left alone [seconds].
RECOVERY_SECONDS = 10.0

ANY_PROCESS, ANY_WORKER, ANY_HOST = "any process", "any worker", "any host"


@dataclass(frozen=True)
class Kind:
    """One kind of event: its target, how often compared with others, and how long it lasts [seconds]."""

    target: str
    weight: float
    shortest_seconds: float = 0.0
    longest_seconds: float = 0.0
    #: Counted as harm that plain Celery meets in any deployment too.
    common: bool = False


KINDS: dict[str, Kind] = {
    # processes
    "kill": Kind(ANY_PROCESS, 6, 0.5, 3, common=True),
    "terminate": Kind(ANY_PROCESS, 2, 0.5, 2, common=True),
    "pause": Kind(ANY_PROCESS, 2, 2, 15, common=True),
    "beat_dead": Kind("beat", 0.5, 5, 20),
    "clock": Kind("skewed", 1, 4, 15),
    # Redis and what lies in it
    "redis_restart": Kind("redis", 1, 0.5, 3, common=True),
    "redis_stall": Kind("redis", 1, 1, 6, common=True),
    "cut": Kind("redis", 2, common=True),
    "forget": Kind("redis", 1),
    "mutex": Kind("redis", 0.5),
    # the host of Redis loses its power: what was not yet on disk is gone. Only where it is asked for.
    "power_cut": Kind("redis", 0, 1, 2),
    # messages
    "double": Kind("messages", 1, 5, 15),
    "drop": Kind("messages", 1, 5, 15),
    # what lies outside
    "store_away": Kind("store", 1, 2, 8, common=True),
    "provider": Kind("provider", 3, 3, 8),
    # money, in runs that have budgets and fallbacks: an account is paused, the budgets that jobs wait for are raised
    "hold": Kind("an account", 0, 2, 6),
    "raise": Kind("budgets", 0),
    # hosts, where workers have network namespaces of their own
    "partition": Kind(ANY_HOST, 3, 5, 20),
}


#: What else happens where a run has budgets and fallbacks.
OF_MONEY = ("hold", "raise")

#: What goes wrong in a run that names no kinds.
USUAL = tuple(name for name, kind in KINDS.items() if kind.weight)


@dataclass(frozen=True)
class Event:
    """One thing that goes wrong."""

    at_seconds: float
    kind: str
    target: str
    for_seconds: float
    #: Chooses among what the kind leaves open: a fault of the provider, a shift of the clock.
    choice: float


def draw(
    seed: int,
    *,
    seconds: float,
    processes: Sequence[str],
    hosts: Sequence[str] = (),
    kinds: Iterable[str] = USUAL,
    gap_seconds: float = GAP_SECONDS,
) -> list[Event]:
    """The plan of a seed: each kind once where there is time, then at random by weight.

    Events with one target never overlap. `processes` are the names of workers and pollers; the first of each is
    the one whose clock jumps. Kinds that no target is there for are left out.
    """
    random = Random(seed)
    free_at: dict[str, float] = defaultdict(float)
    asked = set(kinds)
    wanted = [kind for kind in KINDS if kind in asked and _targets(kind, processes, hosts)]
    once = random.sample(wanted, len(wanted))
    events, at = [], CALM_SECONDS
    while at < seconds:
        kind = once.pop() if once else random.choices(wanted, [KINDS[each].weight or 1 for each in wanted])[0]
        target = random.choice(_targets(kind, processes, hosts))
        lasts = random.uniform(KINDS[kind].shortest_seconds, KINDS[kind].longest_seconds)
        choice = random.random()
        if free_at[target] <= at:
            events.append(Event(round(at, 2), kind, target, round(lasts, 2), round(choice, 3)))
            free_at[target] = at + lasts + (RECOVERY_SECONDS if target in processes else 1.0)
        elif kind not in {event.kind for event in events}:
            once.insert(0, kind)
        at += random.expovariate(1 / gap_seconds)
    return events


def _targets(kind: str, processes: Sequence[str], hosts: Sequence[str]) -> list[str]:
    target = KINDS[kind].target
    if target == ANY_PROCESS:
        return list(processes)
    if target == ANY_HOST:
        return list(hosts)
    return [target]
