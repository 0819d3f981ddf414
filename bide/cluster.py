"""Refuses a Redis Cluster or Valkey Cluster: a move of the ledger joins keys of several slots (docs/decisions.md)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import redis

from bide.errors import ClusterError

#: What to take instead of a cluster, also where it has one node only.
REMEDY = (
    "take a server without cluster mode, alone or with replicas and sentinels; where one is too small, "
    "split by deployment into several ledgers (docs/scaling.md)"
)

#: Parameters of an address by which clients of clusters are asked for, and their values that ask for none.
_PARAMETERS = frozenset({"cluster", "cluster_mode", "cluster_enabled"})
_NO = frozenset({"", "0", "false", "no", "off"})


def is_address(url: str) -> bool:
    """Whether an address asks for a client of clusters, such as `redis+cluster://` or `?cluster=true`."""
    scheme, _, rest = url.partition("://")
    asked = parse_qsl(rest.partition("?")[2])
    return "cluster" in scheme.lower() or any(
        name.lower() in _PARAMETERS and value.lower() not in _NO for name, value in asked
    )


def connect_func(connection: Any) -> None:
    """Prepare a connection, as redis-py does by itself; raises `ClusterError` where the server is in cluster mode.

    redis-py's handshake tells the mode. A number of a database, which a cluster refuses, is sent after it.
    """
    try:
        connection.on_connect_check_health(check_health=False)
    except redis.RedisError:
        _check_mode(connection)
        raise
    _check_mode(connection)


async def connect_func_async(connection: Any) -> None:
    """Prepare a connection of an asyncio client, as `connect_func` does."""
    try:
        await connection.on_connect_check_health(check_health=False)
    except redis.RedisError:
        await _check_mode_async(connection)
        raise
    await _check_mode_async(connection)


def _check_mode(connection: Any) -> None:
    if _in_cluster_mode(connection):
        connection.disconnect()
        raise _refusal(connection)


async def _check_mode_async(connection: Any) -> None:
    if _in_cluster_mode(connection):
        await connection.disconnect()
        raise _refusal(connection)


def _in_cluster_mode(connection: Any) -> bool:
    """Whether the server's answer to HELLO says so; an address with `?protocol=2` sends none."""
    answer: Any = getattr(connection, "handshake_metadata", None) or {}
    return (answer.get("mode") or answer.get(b"mode")) in ("cluster", b"cluster")


def _refusal(connection: Any) -> ClusterError:
    place = getattr(connection, "path", None) or f"{connection.host}:{connection.port}"
    return ClusterError(f"the Redis at {place} is in cluster mode, and bide needs a single server: {REMEDY}")
