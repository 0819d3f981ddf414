"""Celery's events, sent together: none of them gets lost on the way to Flower."""

from __future__ import annotations

from typing import Any

from celery import Celery

from workers.celery_patches.events import BatchDispatcher


class SlowProducer:
    """Stands for the broker: while it sends the first events, a task's thread adds one more."""

    def __init__(self, dispatcher: BatchDispatcher) -> None:
        self._dispatcher = dispatcher
        self.sent: list[str] = []

    def publish(self, events: list[dict[str, Any]], **_: Any) -> None:
        """Record the events of one broadcast, as they were when it began."""
        events_sent = [event["uuid"] for event in events]
        if not self.sent:
            self._dispatcher.send("task-succeeded", uuid="meanwhile")
        self.sent += events_sent


def test_an_event_added_during_a_broadcast_is_sent_next() -> None:
    """Tasks end in threads of their own, also while the buffer is on its way: Flower would show them as running on."""
    app = Celery("small", broker="memory://", set_as_current=False)
    with app.connection_for_write() as connection:
        dispatcher = BatchDispatcher(connection, app=app, hostname="here", buffer_group=["task"])
        dispatcher.producer = producer = SlowProducer(dispatcher)
        dispatcher.send("task-received", uuid="first")
        dispatcher.flush()
        dispatcher.buffer_limit = 1
        dispatcher.flush()

    assert producer.sent == ["first", "meanwhile"]
