"""Occurrences of schedules: each is decided once, noted in Redis, and sent until its run is there.

The note comes before the message, so that a message may be lost. A run's id is made of its schedule's name and its due
time, so that a message may be sent twice. A transaction serializes two beats that decide at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Literal, Protocol

import redis
import structlog

from bide.polling.backoff import Backoff
from config.schedules import Schedule

log = structlog.get_logger()

#: The state of a schedule: its rule, the time up to which its occurrences are decided, its last run, its missed times.
STATE_KEY = "bide:schedule:{}"

#: The runs that are to be sent, or were sent and have not begun; by id.
PENDING_KEY = "bide:schedules:pending"

#: An occurrence this late is still in time: by then a second beat has taken over, and a restarted Redis is back.
GRACE = timedelta(minutes=2)

#: The age up to which missed times count, and the most of them that are made up for.
LOOK_BACK = timedelta(days=31)
MOST_CATCH_UPS = 100

#: The most missed times that are remembered of each schedule.
MOST_MISSED = 20

#: The delay until a run that has not begun is sent again: it doubles from ten seconds to ten minutes.
RESEND_BACKOFF = Backoff(first_seconds=10.0, factor=2.0, cap_seconds=600.0)

#: The time after which a run that no worker begins is given up.
GIVE_UP = timedelta(days=1)

#: The most that a worker's clock may be behind beat's: a run is begun this long before its time.
CLOCK_SLACK = timedelta(minutes=1)

#: The time for which a schedule's state outlives its last change: over a year, since some are due once a year.
REMEMBERED = timedelta(days=400)


#: The stage of a run that was sent: no worker has it, its rows are being read, or its record decides all that follows.
Stage = Literal["unknown", "beginning", "begun"]


@dataclass(frozen=True)
class Missed:
    """A time that passed while no beat ran; `run_id` is empty where no run was started for it."""

    due: str
    run_id: str = ""


@dataclass(frozen=True)
class State:
    """The state of one schedule."""

    rule: str = ""
    #: The time up to which all occurrences are decided.
    until: str = ""
    last_due: str = ""
    last_run: str = ""
    missed: tuple[Missed, ...] = ()
    missed_count: int = 0

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> State:
        """The state out of its hash in Redis; an empty hash is the first state."""
        if not fields:
            return cls()
        missed = tuple(Missed(**entry) for entry in json.loads(fields.get("missed", "[]")))
        plain = {name: fields.get(name, "") for name in ("rule", "until", "last_due", "last_run")}
        return cls(**plain, missed=missed, missed_count=int(fields.get("missed_count", 0)))

    def fields(self) -> dict[str, str | int]:
        missed = json.dumps([vars(entry) for entry in self.missed])
        return {**vars(self), "missed": missed}


@dataclass(frozen=True)
class Decision:
    """The next state, and the due times for which a run is to start."""

    state: State
    starts: tuple[datetime, ...] = field(default=())


def decide(schedule: Schedule, state: State, *, now: datetime) -> Decision:
    """Decide about all times that passed since the last decision.

    A schedule that is new, changed or switched on begins now, without anything to make up for.
    """
    rule = schedule.rule if schedule.enabled else "off"
    if state.rule != rule:
        return Decision(_changed(state, rule=rule, until=now.isoformat()))
    if not schedule.enabled:
        return Decision(state)
    begin = max(datetime.fromisoformat(state.until), now - LOOK_BACK)
    passed = list(takewhile(lambda due: due <= now, schedule.occurrences(after=begin)))
    if not passed:
        return Decision(state)
    late = [due for due in passed if now - due > GRACE]
    in_time = passed[len(late) :]
    made_up = _made_up(schedule, late, in_time)
    starts = (*made_up, *in_time)
    missed = [Missed(due.isoformat(), schedule.run_id(due) if due in made_up else "") for due in late[-MOST_MISSED:]]
    return Decision(
        _changed(
            state,
            until=passed[-1].isoformat(),
            missed=(*state.missed, *missed)[-MOST_MISSED:],
            missed_count=state.missed_count + len(late),
            **({"last_due": starts[-1].isoformat(), "last_run": schedule.run_id(starts[-1])} if starts else {}),
        ),
        starts,
    )


def is_sent(schedule: Schedule, run: Mapping[str, Any], *, now: datetime) -> bool:
    """Whether beat may send this run now: it is the schedule's, has come due, and has not been given up."""
    late = GRACE if schedule.catch_up == "skip" else LOOK_BACK
    return schedule.sends(run, oldest=now - late - GIVE_UP - CLOCK_SLACK, newest=now + CLOCK_SLACK)


def _made_up(schedule: Schedule, late: list[datetime], in_time: list[datetime]) -> list[datetime]:
    if schedule.catch_up == "all":
        return late[-MOST_CATCH_UPS:]
    return late[-1:] if schedule.catch_up == "once" and not in_time else []


def _changed(state: State, **changes: Any) -> State:
    return State(**{**vars(state), **changes})


class RunSender(Protocol):
    """Sends runs to the workers."""

    def send(self, run: dict[str, Any]) -> None:
        """Have a worker begin a run."""

    def give_up(self, run: dict[str, Any]) -> None:
        """Record that no worker began a run in time."""


class Occurrences:
    """The state of all schedules; every change is one transaction, so that any number of beats may share it."""

    def __init__(self, server: redis.Redis) -> None:
        self._server: Any = server  # redis-py's types do not know whether answers are text

    def state(self, name: str) -> State:
        """The state of a schedule."""
        return State.of(self._server.hgetall(STATE_KEY.format(name)))

    def pending(self) -> dict[str, dict[str, Any]]:
        """The runs that have not begun, by id."""
        return {run_id: json.loads(entry) for run_id, entry in self._server.hgetall(PENDING_KEY).items()}

    def advance(self, schedule: Schedule, *, now: datetime) -> tuple[str, ...]:
        """Decide about all times that passed, and note the runs that follow. Returns their ids."""
        key = STATE_KEY.format(schedule.name)

        def change(pipe: Any) -> tuple[str, ...]:
            state = State.of(pipe.hgetall(key))  # under WATCH a pipeline answers at once
            decision = decide(schedule, state, now=now)
            pipe.multi()
            if decision.state != state:
                pipe.hset(key, mapping=decision.state.fields())
                pipe.expire(key, REMEMBERED)
            for due in decision.starts:
                pipe.hsetnx(PENDING_KEY, schedule.run_id(due), json.dumps(_entry(schedule, due, now)))
                pipe.expire(PENDING_KEY, 2 * GIVE_UP)
            return tuple(map(schedule.run_id, decision.starts))

        started: tuple[str, ...] = self._server.transaction(change, key, value_from_callable=True)
        for run_id in started:
            log.info("schedule.due", schedule=schedule.name, run_id=run_id)
        return started

    def deliver(self, *, now: datetime, stage: Callable[[str], Stage], sender: RunSender) -> None:
        """Send each run that has not begun and is due; an error of `sender` leaves the rest to the next turn."""
        for run_id, entry in self.pending().items():
            match stage(run_id):
                case "begun":
                    self._server.hdel(PENDING_KEY, run_id)
                case "beginning":  # its rows are being read, for minutes if they are many
                    continue
                case "unknown" if now - datetime.fromisoformat(entry["noted_at"]) > GIVE_UP:
                    sender.give_up(entry["run"])
                    self._server.hdel(PENDING_KEY, run_id)
                    log.error("schedule.gave_up", run_id=run_id, sent=entry["sent"])
                case "unknown" if entry["next_at"] <= now.timestamp():
                    sender.send(entry["run"])
                    self._note_sent(run_id, entry, now)

    def _note_sent(self, run_id: str, entry: dict[str, Any], now: datetime) -> None:
        if entry["sent"]:
            log.warning("schedule.sent_again", run_id=run_id, sent=entry["sent"] + 1)
        sent = {**entry, "sent": entry["sent"] + 1, "next_at": now.timestamp() + RESEND_BACKOFF.delay(entry["sent"])}
        self._server.hset(PENDING_KEY, run_id, json.dumps(sent))


def _entry(schedule: Schedule, due: datetime, now: datetime) -> dict[str, Any]:
    """The note of a run: its message to `bide.bulk`, when it was noted, how often it was sent."""
    return {"run": schedule.run(due), "noted_at": now.isoformat(), "sent": 0, "next_at": 0.0}
