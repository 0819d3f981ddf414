"""Very many jobs at the provider at once: whether polls keep up, and what that does to how soon results are known.

The ledger's scripts put the jobs in flight, and the provider accepts them at an even pace. How long such jobs take has
been learned. From there on all is real: rounds, requests, answers, records.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from celery import Celery

from bench import provider
from bench.contenders import Bide
from bench.contenders.bide import DueWatch
from bench.figures import Values, detection, lateness, most_at_once, spread
from bench.meter import Meter
from bench.seeding import ACCOUNT, Seeder
from bench.servers import end, wait_until
from bench.sizes import Flight
from bench.waves import names_of
from bide.ledger.keys import prefix
from bide.polling.backoff import PollPlan
from bide.polling.duration_model import DurationModel
from bide.polling.schedule import poll_schedule
from bide.polling.timing import PollTiming
from bide.providers import find
from sandbox.jobs import latency_of
from workers.services.dispatcher import Dispatcher

OPERATION = "images.generation"

#: Jobs that the ledger knows of when it begins, and how exactly it knows how long they took [seconds].
_TAUGHT_JOBS, _TAUGHT_WITHIN = 300, 0.5

#: How often jobs are accepted [seconds].
_BEAT_SECONDS = 0.1

#: How long polls may go on after the last job is done [seconds].
_PATIENCE_SECONDS = 120.0

#: How often a clock with very many jobs is read, and how far ahead: every time passes through [seconds].
_WATCH_SECONDS, _AHEAD_SECONDS = 1.0, 3.0


class PatientWatch(DueWatch):
    """Reads the jobs of a very long clock that are due soon: to read all of it holds Redis up."""

    def _watch(self) -> None:
        while not self._stop.wait(_WATCH_SECONDS):
            until = time.time() + _AHEAD_SECONDS
            waiting: Any = self._redis.zrangebyscore(f"{self._prefix}due", "-inf", until, withscores=True)
            for job, score in waiting:
                self._seen[job].add(score)


def plan_of(flight: Flight) -> PollPlan:
    """The provider's own plan, with the flight's cap."""
    own = find("photogpt").plan_for(OPERATION)
    return PollPlan(min(own.first_seconds, flight.cap_seconds), own.factor, flight.cap_seconds)


def environment_of(flight: Flight) -> dict[str, str]:
    """Bide's variables for a flight: the plan of its polls, and whether to learn."""
    plan, bide = plan_of(flight), "BIDE_PROVIDERS__PHOTOGPT__"
    return {
        f"{bide}POLL_FIRST_SECONDS": str(plan.first_seconds),
        f"{bide}POLL_FACTOR": str(plan.factor),
        f"{bide}POLL_CAP_SECONDS": str(plan.cap_seconds),
        f"{bide}POLL_LEARN": str(flight.learns).lower(),
    }


def measure(bide: Bide, *, flight: Flight) -> Values:
    """Put the jobs in flight, and follow them until all are known to be done."""
    world, names = bide.world, names_of(bide, "flight", flight.accepted)
    _staff(bide, flight)
    seeder = Seeder(world.redis)
    poll_timing = _taught(seeder, world.latency_seconds, flight)
    prepared = list(seeder.prepared(names))
    with Meter(bide) as meter:
        _accept(bide, seeder, prepared, names, poll_timing, flight.seconds)
        wait_until(lambda: not world.redis.zcard(f"{prefix(ACCOUNT)}due"), seconds=_patience(flight), every=0.5)
    polls = world.polls()
    purchases = world.purchases(set(names))
    done = {str(one["id"]): provider.done_at(one, world.latency_seconds) for one in purchases}
    begun = {str(one["id"]): float(one["time"]) for one in purchases}
    delays = detection(done, polls)
    implied = [implied_delay(poll_timing, done[job] - begun[job]) for job in done]
    asked = sum(map(len, polls.values()))
    return {
        "jobs": flight.accepted,
        **meter.values,
        "in_flight_most": most_at_once([(begun[job], done[job]) for job in done]),
        "pollers": flight.pollers,
        "latency_seconds": flight.latency_seconds,
        "cap_seconds": flight.cap_seconds,
        "polls": asked,
        "polls_per_job": asked / len(names),
        "cpu_per_1000_polls": 1000 * (meter.values["cpu_seconds"] or 0.0) / max(asked, 1),
        "undetected": len(names) - len(delays),
        "stored": bide.finished(names),
        **spread("late", lateness(bide.dues(), polls)),
        **spread("detection", delays),
        **spread("implied", implied),
    }


def implied_delay(poll_timing: PollTiming, duration_seconds: float) -> float:
    """When a job of this duration is known to be done if each poll comes and is answered the moment it is due
    [seconds after its end].
    """
    age, polls = poll_timing.first(), 1
    while age < duration_seconds:
        age += poll_timing.after(polls, age_seconds=age)
        polls += 1
    return age - duration_seconds


def _staff(bide: Bide, flight: Flight) -> None:
    poller = bide._launches[1]
    for number in range(1, flight.pollers):
        bide.launch(f"{poller.name}-{number}", poller.command, poller.environment, ready=poller.ready)
    if not flight.worker:
        end(bide.processes.pop(0))
        bide._launches.pop(0)
    bide._watch.stop()
    bide._watch = PatientWatch(bide.world)


def _taught(seeder: Seeder, latency_seconds: float, flight: Flight) -> PollTiming:
    """Let the ledger know how long such jobs take; the pace that follows from it, or plain backoff's."""
    plan = plan_of(flight)
    if not flight.learns:
        return PollTiming(plan)
    known = DurationModel()
    for number in range(_TAUGHT_JOBS):
        took = latency_of(f"taught-{number}", mean_seconds=latency_seconds)
        known = known.observed(took - _TAUGHT_WITHIN, took + _TAUGHT_WITHIN)
    seeder.ledger.accounts.learn(ACCOUNT, [(OPERATION, "", known.to_text())])
    found = known.about()
    table = poll_schedule(found[0], plan, shift=found[1]) if found else None
    return PollTiming(plan, lambda _: table)  # these jobs come without an estimate


def _accept(
    bide: Bide, seeder: Seeder, prepared: Sequence[Any], names: Sequence[str], poll_timing: PollTiming, seconds: float
) -> None:
    """At an even pace: what the provider accepts is noted in the ledger, and the rounds it asks for are sent."""
    dispatcher = Dispatcher(Celery("feeder", broker=bide.world.redis_url))
    started, given = time.monotonic(), 0
    while given < len(names):
        time.sleep(_BEAT_SECONDS)
        upto = min(int(len(names) * (time.monotonic() - started) / seconds), len(names))
        for one, job in zip(prepared[given:upto], bide.world.accept(names[given:upto]), strict=True):
            dispatcher.send(seeder.accepted(one, job, first_poll_seconds=poll_timing.first()))
        given = upto


def _patience(flight: Flight) -> float:
    return flight.seconds + flight.cap_seconds + _PATIENCE_SECONDS
