"""kombu's Redis transport with one client for each connection pool.

kombu makes a new client for each publish, delivery and acknowledgement, which costs as much as the command it then
sends. Clients are safe to share: each command takes a connection of its own out of the pool.

kombu also takes for granted that what lies in a queue is a message. Anything else would end the worker that finds it,
and is dropped here.
"""

from __future__ import annotations

from queue import Empty
from typing import Any

import redis
import structlog
from kombu.transport.redis import Channel, Transport

from workers.holding import HoldingQoS

log = structlog.get_logger()

#: Properties that are text where they are given.
TEXTS = ("correlation_id", "reply_to")


class SharingChannel(Channel):
    """Makes its client once, and anew when the pool was replaced after a lost connection."""

    QoS = HoldingQoS
    _shared: redis.Redis | None = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:  # holds on to one connection, on which it waits
            return super()._create_client(asynchronous=True)  # type: ignore[misc]  # unknown to the stubs
        client = self._shared
        if client is None or client.connection_pool is not self.pool:
            client = self._shared = super()._create_client()  # type: ignore[misc]  # as above
        return client

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # unknown to the stubs
        except Exception as error:  # what lay there can't be read; of a message's own troubles the consumer takes care
            if isinstance(error, (Empty, *self.connection.connection_errors, *self.connection.channel_errors)):
                raise
            log.warning("broker.no_message", reason=type(error).__name__)
            return True


class SharingTransport(Transport):
    """For Celery's setting `broker_transport`."""

    Channel = SharingChannel

    def _deliver(self, message: Any, queue: str | None) -> None:
        if is_message(message):
            super()._deliver(message, queue)
        else:
            log.warning("broker.no_message", queue=queue, reason="not of the shape that kombu writes")


def is_message(raw: Any) -> bool:
    """Whether this is what kombu's Redis transport lays into a queue, as far as its own code relies on it."""
    properties = raw.get("properties") if isinstance(raw, dict) else None
    if not isinstance(properties, dict):
        return False
    delivery = properties.get("delivery_info")
    return (
        isinstance(delivery, dict)
        and all(isinstance(delivery.get(name), str) for name in ("exchange", "routing_key"))
        and isinstance(properties.get("delivery_tag"), str)
        and properties.get("body_encoding") in (None, "base64")
        and all(properties.get(name) is None or isinstance(properties[name], str) for name in TEXTS)
        and isinstance(properties.get("priority") or 0, int)
        and isinstance(raw.get("body"), str)
        and isinstance(raw.get("headers") or {}, dict)
        and all(isinstance(raw.get(name) or "", str) for name in ("content-type", "content-encoding"))
    )
