"""A Redis in memory whose replicas acknowledge as a test says: `WAIT` is answered here, all else is real."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from tests.contract.observed_redis import ObservedRedis


class ReplicatedRedis(ObservedRedis):
    """`acknowledge` gives the reply to each WAIT, from its number of replicas and its milliseconds."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.waits: list[tuple[int, int]] = []
        self.acknowledge: Callable[[], int | redis.RedisError] = lambda: 2

    def pipeline(self, *args: Any, **options: Any) -> Any:
        """A pipeline that takes WAIT as its last command."""
        return _Pipeline(self, super().pipeline(*args, **options))


class _Pipeline:
    def __init__(self, server: ReplicatedRedis, real: Any) -> None:
        self._server, self._real = server, real
        self._waits: tuple[int, int] | None = None

    def wait(self, replicas: int, milliseconds: int) -> None:
        self._waits = (replicas, milliseconds)

    def execute(self, **options: Any) -> list[Any]:
        replies: list[Any] = self._real.execute(**options)
        if self._waits is None:
            return replies
        if any(isinstance(reply, redis.exceptions.NoScriptError) for reply in replies):
            return [*replies, 0]  # all of it comes again
        self._server.waits.append(self._waits)
        return [*replies, self._server.acknowledge()]

    def __enter__(self) -> _Pipeline:
        return self

    def __exit__(self, *_: object) -> None:
        self._real.reset()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)
