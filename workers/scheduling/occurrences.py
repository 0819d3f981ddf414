"""What becomes of each time a schedule is due: decided once, noted in Redis, and sent until its run is there.

The note comes before the message, so that a message may be lost; a run's id comes from its schedule's name and due
time, so that it may be sent twice. Two beats that decide at once are told apart by a transaction.
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

from config.schedules import Schedule

log = structlog.get_logger()

#: A schedule's own state: the rule it went by, until when its times are decided, its last run and the missed times.
STATE_KEY = "bide:schedule:{}"

#: The runs that were sent, or are to be, and have not begun; by id.
PENDING_KEY = "bide:schedules:pending"

#: So much later than due is still in time: a second beat has taken over by then, a restarted Redis is back.
GRACE = timedelta(minutes=2)

#: What passed before that is not looked at; of what passed since, so many are made up for at most.
LOOK_BACK = timedelta(days=31)
MOST_CATCH_UPS = 100

#: Missed times that are remembered, by schedule.
MOST_MISSED = 20

#: A run that has not begun is sent again after this, then after twice as long and so on, up to the cap [seconds].
RESEND_SECONDS, RESEND_CAP_SECONDS = 10.0, 600.0

#: A run that nobody begins is given up after this.
GIVE_UP = timedelta(days=1)

#: How long a schedule's state outlives its last change: longer than a year, as some are due once in it.
REMEMBERED = timedelta(days=400)


#: How far a run is that was sent: nobody has it, its rows are being read, or its record decides about all that follows.
Stage = Literal["unknown", "beginning", "begun"]


@dataclass(frozen=True)
class Missed:
    """A time that passed while no beat ran; `run_id` is empty where nothing was started for it."""

    due: str
    run_id: str = ""


@dataclass(frozen=True)
class State:
    """Where one schedule stands."""

    rule: str = ""
    #: Up to here all is decided.
    until: str = ""
    last_due: str = ""
    last_run: str = ""
    missed: tuple[Missed, ...] = ()
    missed_count: int = 0

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> State:
        """From the hash in Redis; the beginning where there is none."""
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
    """The state that follows, and the due times for which a run is to start."""

    state: State
    starts: tuple[datetime, ...] = field(default=())


def decide(schedule: Schedule, state: State, *, now: datetime) -> Decision:
    """What is to be done about all times that passed since the last decision.

    A schedule that is new, was changed or switched on begins now: there is nothing to make up for.
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


def _made_up(schedule: Schedule, late: list[datetime], in_time: list[datetime]) -> list[datetime]:
    if schedule.catch_up == "all":
        return late[-MOST_CATCH_UPS:]
    return late[-1:] if schedule.catch_up == "once" and not in_time else []


def _changed(state: State, **changes: Any) -> State:
    return State(**{**vars(state), **changes})


class Post(Protocol):
    """Where runs are sent."""

    def send(self, run: dict[str, Any]) -> None:
        """Have a run begun."""

    def give_up(self, run: dict[str, Any]) -> None:
        """Nobody began it in time: say so where people look for it."""


class Occurrences:
    """The state of all schedules; every change is one transaction, so that any number of beats may share it."""

    def __init__(self, server: redis.Redis) -> None:
        self._server: Any = server  # redis-py's types do not know whether answers are text

    def state(self, name: str) -> State:
        """Where a schedule stands."""
        return State.of(self._server.hgetall(STATE_KEY.format(name)))

    def pending(self) -> dict[str, dict[str, Any]]:
        """The runs that have not begun, by id."""
        return {run_id: json.loads(entry) for run_id, entry in self._server.hgetall(PENDING_KEY).items()}

    def advance(self, schedule: Schedule, *, now: datetime) -> tuple[str, ...]:
        """Decide about all times that passed, and note the runs that follow; their ids."""
        key = STATE_KEY.format(schedule.name)

        def move(pipe: Any) -> tuple[str, ...]:
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

        started: tuple[str, ...] = self._server.transaction(move, key, value_from_callable=True)
        for run_id in started:
            log.info("schedule.due", schedule=schedule.name, run_id=run_id)
        return started

    def deliver(self, *, now: datetime, stage: Callable[[str], Stage], post: Post) -> None:
        """Send each run that nobody has begun and whose turn it is; what `post` raises is left to the next time."""
        for run_id, entry in self.pending().items():
            match stage(run_id):
                case "begun":
                    self._server.hdel(PENDING_KEY, run_id)
                case "beginning":  # its rows are being read, for minutes if they are many
                    continue
                case "unknown" if now - datetime.fromisoformat(entry["noted_at"]) > GIVE_UP:
                    post.give_up(entry["run"])
                    self._server.hdel(PENDING_KEY, run_id)
                    log.error("schedule.gave_up", run_id=run_id, sent=entry["sent"])
                case "unknown" if entry["next_at"] <= now.timestamp():
                    post.send(entry["run"])
                    self._note_sent(run_id, entry, now)

    def _note_sent(self, run_id: str, entry: dict[str, Any], now: datetime) -> None:
        wait = min(RESEND_SECONDS * 2 ** entry["sent"], RESEND_CAP_SECONDS)
        if entry["sent"]:
            log.warning("schedule.sent_again", run_id=run_id, sent=entry["sent"] + 1)
        sent = {**entry, "sent": entry["sent"] + 1, "next_at": now.timestamp() + wait}
        self._server.hset(PENDING_KEY, run_id, json.dumps(sent))


def _entry(schedule: Schedule, due: datetime, now: datetime) -> dict[str, Any]:
    """A run as `bide.bulk` takes it, and how often it was sent."""
    return {"run": schedule.run(due), "noted_at": now.isoformat(), "sent": 0, "next_at": 0.0}
