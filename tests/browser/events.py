"""Celery's events as the workers send them: recorded from a real job, and sent again for jobs that never were."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from celery import Celery
from celery.events import EventReceiver
from celery.events.dispatcher import EventDispatcher

from tests.integration.waiting import eventually

#: What a dispatcher adds by itself to each event, or its receiver on arrival.
_ADDED = {"type", "hostname", "utcoffset", "pid", "clock", "timestamp", "local_received", "uuid"}

#: How many events a worker sends at once.
_TOGETHER = 24

Event = dict[str, Any]


def recorded(app: Celery, submit: Callable[[], str], *, last: str) -> list[Event]:
    """The events of the one job that `submit` gives the id of, from its first to that of type `last`."""
    heard: list[Event] = []
    with app.connection_for_read() as connection:
        receiver: Any = EventReceiver(connection, handlers={"*": heard.append}, app=app)
        with receiver.consumer_context(wakeup=False) as (listening, _, _):
            job_id = ""

            def heard_of(kind: str) -> bool:
                with suppress(TimeoutError):
                    listening.drain_events(timeout=1)
                return any(event["type"] == kind and event.get("uuid", "") == job_id for event in heard)

            eventually(lambda: heard_of("worker-heartbeat"), what="the workers are heard of")
            job_id = submit()
            eventually(lambda: heard_of(last), what=f"{last} is heard of")
    return [event for event in heard if event.get("uuid") == job_id]


class Replay:
    """Sends a recorded job's events as its worker would, for as many jobs as one likes."""

    def __init__(self, app: Celery, events: list[Event]) -> None:
        self._app, self._events = app, events
        self._worker = events[0]["hostname"]
        self._recorded_id = events[0]["uuid"]

    def send(self, prompts: Iterable[str]) -> list[str]:
        """One job for each prompt, all of its events; their ids."""
        with self._app.connection_for_write() as connection:
            dispatcher = EventDispatcher(
                connection,
                hostname=self._worker,
                app=self._app,
                buffer_group=["task"],
                buffer_limit=_TOGETHER,
            )
            try:
                return [self._one(dispatcher, prompt) for prompt in prompts]
            finally:
                dispatcher.flush()
                dispatcher.close()

    def _one(self, dispatcher: EventDispatcher, prompt: str) -> str:
        job_id = str(uuid.uuid4())
        for kind, fields in self._retold(job_id, prompt):
            dispatcher.send(kind, uuid=job_id, **fields)
        return job_id

    def _retold(self, job_id: str, prompt: str) -> Iterator[tuple[str, Event]]:
        for event in self._events:
            fields = {name: value for name, value in event.items() if name not in _ADDED}
            fields = {name: self._of(value, job_id) for name, value in fields.items()}
            if event["type"] == "task-received":
                fields["kwargs"] = f"photogpt images.generation: {prompt}"
            yield event["type"], fields

    def _of(self, value: Any, job_id: str) -> Any:
        return value.replace(self._recorded_id, job_id) if isinstance(value, str) else value
