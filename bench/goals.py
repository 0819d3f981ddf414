"""The goals, and what the records say of them: pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.records import Record, Summary, summaries
from bench.sizes import ONE_POLLER, TWO_POLLERS

#: The other task queues that keep their jobs, which bide is to undercut.
PEERS = ("arq", "dramatiq", "huey", "taskiq")

#: The part of the jobs wanted in flight that must have been there at once: latencies are drawn by lot.
_ENOUGH = 0.97

Scenario = Mapping[str, Summary]


@dataclass(frozen=True)
class Goal:
    """One line: what is wanted, what was measured; `reached` is None where nothing was."""

    wanted: str
    measured: str
    reached: bool | None


def goals(records: Sequence[Record]) -> list[Goal]:
    """All goals, in the order of the issue that set them."""
    burst, flights = summaries(records, "burst"), summaries(records, "in flight")
    waiting, start = summaries(records, "waiting"), summaries(records, "start")
    paced = summaries(records, "paced")
    return [
        _most("CPU of a job in a burst: at most 1.8 times the plain script's", _ratio(burst, "bide", "plain"), 1.8),
        _most("the same at a steady pace: at most 1.6 times", _ratio(paced, "bide", "plain"), 1.6),
        _peers("CPU of a job in a burst: below arq, dramatiq, huey and taskiq", burst),
        _peers("the same at a steady pace", paced),
        _late(
            "20,000 in flight on 2 cores, one poller: polls late by under 1 s (p95)", flights.get(ONE_POLLER), 20_000
        ),
        _implied(flights.get(ONE_POLLER)),
        _late("50,000 in flight, two pollers keep up: polls late by under 1 s (p95)", flights.get(TWO_POLLERS), 50_000),
        _waiting(waiting.get("bide")),
        _nothing(waiting.get("bide")),
        _start(start.get("bide")),
    ]


def table(found: Sequence[Goal]) -> str:
    """The goals as a table."""
    lines = ["| goal | measured | reached |", "| --- | --- | --- |"]
    words = {True: "yes", False: "**no**", None: "not measured"}
    lines += [f"| {goal.wanted} | {goal.measured} | {words[goal.reached]} |" for goal in found]
    return "\n".join(lines)


def _ratio(burst: Scenario, upper: str, lower: str) -> float | None:
    over, under = (burst[name].median("cpu_per_1000") if name in burst else None for name in (upper, lower))
    return over / under if over is not None and under else None


def _most(wanted: str, ratio: float | None, bound: float) -> Goal:
    return Goal(wanted, _times(ratio), None if ratio is None else ratio <= bound)


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f} times"


def _peers(wanted: str, found: Scenario) -> Goal:
    """Against the cheapest of the other queues; reached where bide costs less."""
    ratios = {name: ratio for name in PEERS if (ratio := _ratio(found, "bide", name)) is not None}
    if not ratios:
        return Goal(wanted, "-", None)
    cheapest = max(ratios, key=lambda name: ratios[name])
    return Goal(wanted, f"{_times(ratios[cheapest])} the cost of {cheapest}", ratios[cheapest] < 1.0)


def _late(wanted: str, one: Summary | None, jobs: int) -> Goal:
    late, lost = (one.median("late_p95"), one.median("undetected")) if one else (None, None)
    if one is None or late is None:
        return Goal(wanted, "-", None)
    at_once = one.median("in_flight_most") or 0.0
    enough = at_once >= jobs * _ENOUGH
    return Goal(wanted, f"{late:.2f} s, {at_once:,.0f} at once", late < 1.0 and not lost and enough)


def _implied(one: Summary | None) -> Goal:
    wanted = "there: results known as soon as the schedule alone implies, within 10 % (mean)"
    known, implied = (one.median("detection_mean"), one.median("implied_mean")) if one else (None, None)
    if known is None or not implied:
        return Goal(wanted, "-", None)
    return Goal(wanted, f"{known:.2f} s, implied {implied:.2f} s: {known / implied - 1:+.0%}", known <= 1.1 * implied)


def _waiting(one: Summary | None) -> Goal:
    used, jobs = (one.median("redis_bytes"), one.median("jobs")) if one else (None, None)
    wanted = "100,000 jobs waiting: under 300 MB of Redis"
    if used is None or not jobs:
        return Goal(wanted, "-", None)
    return Goal(wanted, f"{used / 1e6:.0f} MB for {jobs:,.0f}", used * 100_000 / jobs < 300e6)


def _nothing(one: Summary | None) -> Goal:
    grown, jobs = (one.median("process_bytes"), one.median("jobs")) if one else (None, None)
    wanted = "and nothing in the workers (under 0.1 kB a job, which is noise)"
    if grown is None or not jobs:
        return Goal(wanted, "-", None)
    return Goal(wanted, f"{grown / 1e6:+.1f} MB in all processes together", grown / jobs < 100)


def _start(one: Summary | None) -> Goal:
    wanted = "idle: a submitted job's first step starts within 50 ms (p95)"
    step, arrival = (one.median("step_p95"), one.median("arrival_p95")) if one else (None, None)
    if step is None or arrival is None:
        return Goal(wanted, "-", None)
    return Goal(wanted, f"{1000 * step:.0f} ms; {1000 * arrival:.0f} ms until the provider has it", step <= 0.05)
