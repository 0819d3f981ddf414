"""A Redis that is there and refuses to write, in each of the ways in which one does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import redis

from tests.integration.servers import RedisServer, free_port
from tests.integration.waiting import eventually

#: The ways, by the code in front of the error.
KINDS = ("NOREPLICAS", "OOM", "MISCONF", "READONLY")


@contextmanager
def refusing(server: RedisServer, kind: str) -> Iterator[None]:
    """Nothing can be written while the block runs."""
    with redis.Redis.from_url(server.url) as client:
        _refuse(server, client, kind)
        try:
            yield
        finally:
            _allow(server, client, kind)


def _refuse(server: RedisServer, client: redis.Redis, kind: str) -> None:
    match kind:
        case "NOREPLICAS":
            client.config_set("min-replicas-to-write", 1)
        case "OOM":
            client.config_set("maxmemory", 1)
        case "READONLY":
            client.replicaof("127.0.0.1", free_port())
        case "BUSY":
            client.config_set("lua-time-limit", 100)
            running: Any = client.connection_pool.get_connection()
            running.send_command("EVAL", "while true do end", 0)
            running.disconnect()
            eventually(partial(_is_busy, client), what="a script holds it up")
        case "MISCONF":
            server.snapshot.mkdir()  # where the file should go
            client.config_set("save", "3600 1")
            client.bgsave()
            eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", what="it can't save")


def _is_busy(client: redis.Redis) -> bool:
    try:
        client.ping()
    except redis.ResponseError:
        return True
    return False


def _allow(server: RedisServer, client: redis.Redis, kind: str) -> None:
    match kind:
        case "NOREPLICAS":
            client.config_set("min-replicas-to-write", 0)
        case "OOM":
            client.config_set("maxmemory", 0)
        case "READONLY":
            client.replicaof("NO", "ONE")
        case "BUSY":
            client.script_kill()
        case "MISCONF":
            server.snapshot.rmdir()
            client.config_set("save", "")
            client.bgsave()
            eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "ok", what="it can save")
