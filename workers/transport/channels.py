"""kombu's Redis transport for workers: one client for each connection pool, and messages consumed by script.

kombu makes a new client for each publish, delivery and acknowledgement. That costs as much as the command which the
client then sends. Clients are safe to share: each command takes a connection of its own out of the pool.
"""

from __future__ import annotations

from typing import Any

import redis
from kombu.transport.redis import SentinelChannel, SentinelTransport, Transport

from workers.transport.consume import ConsumingChannel, ConsumingPoller
from workers.transport.refusals import RefusalRedis
from workers.transport.unacked import UnackedQoS


class WorkerChannel(ConsumingChannel):
    """A channel that makes its client once, and anew when a lost connection has replaced the pool."""

    QoS = UnackedQoS
    _shared_client: redis.Redis | None = None

    def _get_client(self) -> Any:
        return super()._get_client() if self.global_keyprefix else RefusalRedis  # type: ignore[misc]  # unknown to the stubs

    def queue_bind(self, queue: str, exchange: Any = None, routing_key: str = "", *args: Any, **more: Any) -> None:
        """Bind. kombu notes a binding before Redis has it, and would not try again what failed."""
        try:
            super().queue_bind(queue, exchange, routing_key, *args, **more)
        except self.connection_errors:
            self.state.binding_delete(queue, exchange, routing_key)
            raise

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:  # keeps one connection, on which it blocks
            return super()._create_client(asynchronous=True)  # type: ignore[misc]  # unknown to the stubs
        client = self._shared_client
        if client is None or client.connection_pool is not self.pool:
            client = self._shared_client = super()._create_client()  # type: ignore[misc]  # unknown to the stubs
        return client


class WorkerTransport(Transport):
    """For Celery's setting `broker_transport`."""

    Channel = WorkerChannel
    loop: Any = None  #: the event loop, where there is one

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cycle: Any = ConsumingPoller()

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        super().register_with_event_loop(connection, loop)
        self.loop = loop


class SentinelWorkerChannel(WorkerChannel, SentinelChannel):
    """A worker's channel to the Redis that Sentinels name."""


class SentinelWorkerTransport(WorkerTransport, SentinelTransport):
    """A worker's transport to the Redis that Sentinels name."""

    Channel = SentinelWorkerChannel
