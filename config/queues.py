"""The queues, and the tasks with their options."""

from __future__ import annotations

from typing import TypedDict

from kombu import Exchange, Queue

from bide.contract import (
    BULK_TASK,
    CANCEL_TASK,
    CONTROL_QUEUE,
    GENERATE_TASK,
    NOTIFY_TASK,
    POLL_QUEUE,
    POLL_TASK,
    QUEUES,
    SUBMIT_QUEUE,
)

EXCHANGE = Exchange("bide", type="direct")

#: No priorities: on Redis each queue is then the one list of its own name, which foreign clients push to.
DECLARED = tuple(Queue(name, EXCHANGE, routing_key=name) for name in QUEUES)


class TaskOptions(TypedDict):
    """The options of a task, for `@app.task(**options)`: Celery would swallow a misspelt one."""

    name: str
    queue: str
    #: Acknowledged when done, so that a killed worker's message is delivered again.
    acks_late: bool
    ignore_result: bool
    #: Whether the task's events are sent, so that Flower shows it.
    send_events: bool


GENERATE = TaskOptions(name=GENERATE_TASK, queue=SUBMIT_QUEUE, acks_late=True, ignore_result=False, send_events=True)
POLL = TaskOptions(name=POLL_TASK, queue=POLL_QUEUE, acks_late=True, ignore_result=True, send_events=False)
CANCEL = TaskOptions(name=CANCEL_TASK, queue=CONTROL_QUEUE, acks_late=True, ignore_result=True, send_events=True)
NOTIFY = TaskOptions(name=NOTIFY_TASK, queue=CONTROL_QUEUE, acks_late=True, ignore_result=True, send_events=False)
BULK = TaskOptions(name=BULK_TASK, queue=CONTROL_QUEUE, acks_late=True, ignore_result=True, send_events=False)
TASKS = (GENERATE, POLL, CANCEL, NOTIFY, BULK)

ROUTES = {task["name"]: {"queue": task["queue"]} for task in TASKS}
