"""What the contenders that are Celery have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from celery import Celery

from bench.contenders.base import Contender
from bench.servers import World

#: What a Celery worker says once it serves.
READY = "ready."


class CeleryContender(Contender):
    """One that takes its jobs from Redis and leaves results there."""

    task: str
    queue: str

    #: Whether the first task of a job leaves no result, a later one of the same id does.
    later_result = False

    def __init__(self, world: World) -> None:
        super().__init__(world)
        # no result backend here: a caller that subscribes to each result would be a burden of its own
        self._caller = Celery("caller", broker=world.redis_url)
        self._caller.conf.task_create_missing_queues = True

    def submit(self, names: Sequence[str]) -> None:
        with self._caller.producer_or_acquire() as producer:
            for name in names:
                self.send(name, self.arguments(name), producer)

    def send(self, name: str, arguments: dict[str, Any], producer: Any = None) -> None:
        """Enqueue one job; the task's id is its name."""
        self._caller.send_task(
            self.task,
            task_id=name,
            kwargs=arguments,
            queue=self.queue,
            producer=producer,
            ignore_result=self.later_result,
        )

    @abstractmethod
    def arguments(self, name: str) -> dict[str, Any]:
        """Of the task that does one job."""

    def finished(self, names: Sequence[str]) -> int:
        results: list[str | None] = self.world.redis.mget([f"celery-task-meta-{name}" for name in names])  # type: ignore[assignment]  # redis-py's stubs know no difference between sync and async
        return sum(result is not None and '"status": "SUCCESS"' in result for result in results)
