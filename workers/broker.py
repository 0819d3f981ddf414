"""kombu's Redis transport with one client for each connection pool.

kombu makes a new client for each publish, delivery and acknowledgement, which costs as much as the command it then
sends. Clients are safe to share: each command takes a connection of its own out of the pool.
"""

from __future__ import annotations

from typing import Any

import redis
from kombu.transport.redis import Channel, Transport


class SharingChannel(Channel):
    """Makes its client once, and anew when the pool was replaced after a lost connection."""

    _shared: redis.Redis | None = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:  # holds on to one connection, on which it waits
            return super()._create_client(asynchronous=True)  # type: ignore[misc]  # unknown to the stubs
        client = self._shared
        if client is None or client.connection_pool is not self.pool:
            client = self._shared = super()._create_client()  # type: ignore[misc]  # as above
        return client


class SharingTransport(Transport):
    """For Celery's setting `broker_transport`."""

    Channel = SharingChannel
