"""Clients for a Redis at any address that the settings take: redis://, rediss://, unix:// and sentinel://."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import redis
import redis.asyncio.sentinel
import redis.sentinel

from bide.cluster import connect_func, connect_func_async
from bide.redis_address import check_address

#: The name by which sentinels know a Redis, unless the settings give another one.
SENTINEL_MASTER = "mymaster"

SENTINEL_PORT = 26379


def connect(url: str, *, sentinel_master: str = SENTINEL_MASTER, **options: Any) -> redis.Redis:
    """A client; `options` are those of `redis.Redis`. A list of sentinels is one address, joined by `;`.

    Raises `ConfigurationError` for an address that can't be used, `ClusterError` for that of a cluster. Its first
    connection raises `ClusterError` where the server is in cluster mode.
    """
    check_address(url)
    options = {"redis_connect_func": connect_func, **options}
    if not url.startswith("sentinel://"):
        return redis.Redis.from_url(_for_redis_py(url), **_fitting(url, options))
    nodes, credentials = _sentinels(url)
    sentinels: Any = redis.sentinel.Sentinel
    found: redis.Redis = sentinels(nodes, **_of_sentinels(options)).master_for(
        sentinel_master, **credentials, **options
    )
    return found


def connect_async(url: str, *, sentinel_master: str = SENTINEL_MASTER, **options: Any) -> redis.asyncio.Redis:
    """A client for asyncio; `options` are those of `redis.asyncio.Redis`, addresses and errors those of `connect`."""
    check_address(url)
    options = {"redis_connect_func": connect_func_async, **options}
    if not url.startswith("sentinel://"):
        return redis.asyncio.Redis.from_url(_for_redis_py(url), **_fitting(url, options))
    nodes, credentials = _sentinels(url)
    sentinels: Any = redis.asyncio.sentinel.Sentinel
    found: redis.asyncio.Redis = sentinels(nodes, **_of_sentinels(options)).master_for(
        sentinel_master, **credentials, **options
    )
    return found


def results_at(broker_url: str, ledger_url: str) -> str:
    """Where workers keep results without a setting: at the broker where that is a Redis, else beside the ledger."""
    return broker_url if broker_url.startswith(("redis", "unix:", "sentinel:")) else ledger_url


def close(server: redis.Redis) -> None:
    """Give a client's connections back, those to the sentinels too."""
    server.close()
    for sentinel in _asked(server):
        sentinel.close()


async def close_async(server: redis.asyncio.Redis) -> None:
    """Give an asyncio client's connections back, those to the sentinels too."""
    await server.aclose()
    for sentinel in _asked(server):
        await sentinel.aclose()


def _asked(server: Any) -> list[Any]:
    """The clients of the sentinels that a client goes by; redis-py leaves them open."""
    return list(getattr(getattr(server.connection_pool, "sentinel_manager", None), "sentinels", ()))


def for_kombu(url: str) -> str:
    """The address in kombu's and Celery's words, which differ from redis-py's for a Unix socket."""
    if not url.startswith("unix://"):
        return url
    return url.replace("unix://", "redis+socket://", 1).replace("db=", "virtual_host=")


def _for_redis_py(url: str) -> str:
    if not url.startswith("redis+socket://"):
        return url
    return url.replace("redis+socket://", "unix://", 1).replace("virtual_host=", "db=")


def _fitting(url: str, options: dict[str, Any]) -> dict[str, Any]:
    """A Unix socket knows no keepalive, and redis-py refuses to hear of it."""
    if url.startswith(("unix://", "redis+socket://")):
        return {name: value for name, value in options.items() if not name.startswith("socket_keepalive")}
    return options


def _of_sentinels(options: dict[str, Any]) -> dict[str, Any]:
    """What also goes for the sentinels themselves: how long they may take."""
    return {name: value for name, value in options.items() if name.startswith("socket_")}


def sentinels_of(url: str) -> list[tuple[str, int]]:
    """Hosts and ports of all sentinels that an address names."""
    return [(part.hostname or "127.0.0.1", part.port or SENTINEL_PORT) for part in map(urlsplit, url.split(";"))]


def _sentinels(url: str) -> tuple[list[tuple[str, int]], dict[str, Any]]:
    """Hosts and ports of all; user, password and number of the database that they lead to, as the first one says."""
    first = urlsplit(url.partition(";")[0])
    fields = {"username": first.username, "password": first.password}
    credentials = {name: unquote(value) for name, value in fields.items() if value}
    return sentinels_of(url), {**credentials, "db": int(first.path.strip("/") or 0)}
