"""kombu's Redis transport for workers: one client for each connection pool, and messages taken safely.

kombu makes a new client for each publish, delivery and acknowledgement, which costs as much as the command it then
sends. Clients are safe to share: each command takes a connection of its own out of the pool.
"""

from __future__ import annotations

from typing import Any

import redis
from kombu.transport.redis import SentinelChannel, SentinelTransport, Transport

from workers.transport.consume import ConsumingChannel, ConsumingPoller
from workers.transport.refusals import NoticingRedis
from workers.transport.unacked import UnackedQoS


class SharingChannel(ConsumingChannel):
    """Makes its client once, and anew when the pool was replaced after a lost connection."""

    QoS = UnackedQoS
    _shared: redis.Redis | None = None

    def _get_client(self) -> Any:
        return super()._get_client() if self.global_keyprefix else NoticingRedis  # type: ignore[misc]  # unknown to the stubs

    def queue_bind(self, queue: str, exchange: Any = None, routing_key: str = "", *args: Any, **more: Any) -> None:
        """Kombu notes a binding before Redis has it, and would not try again what failed."""
        try:
            super().queue_bind(queue, exchange, routing_key, *args, **more)
        except self.connection_errors:
            self.state.binding_delete(queue, exchange, routing_key)
            raise

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:  # holds on to one connection, on which it waits
            return super()._create_client(asynchronous=True)  # type: ignore[misc]  # as above
        client = self._shared
        if client is None or client.connection_pool is not self.pool:
            client = self._shared = super()._create_client()  # type: ignore[misc]  # as above
        return client


class SharingTransport(Transport):
    """For Celery's setting `broker_transport`."""

    Channel = SharingChannel
    loop: Any = None  #: the event loop, where there is one

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cycle: Any = ConsumingPoller()

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        super().register_with_event_loop(connection, loop)
        self.loop = loop


class SharingSentinelChannel(SharingChannel, SentinelChannel):
    """The same, to the Redis that Sentinels name."""


class SharingSentinelTransport(SharingTransport, SentinelTransport):
    """The same, with Sentinels."""

    Channel = SharingSentinelChannel
