"""A client that is closed leaves no connection to the garbage collector."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest

from bide.client import AsyncClient, Client
from bide.errors import UnknownJobError
from tests.integration.servers import redis_server

pytestmark = pytest.mark.integration


def test_all_connections_are_given_back() -> None:
    """Those of the result backend, too, which Celery leaves open."""

    async def look() -> None:
        async with AsyncClient(server.url) as client:
            with pytest.raises(UnknownJobError):
                await client.wait("nowhere", unknown_seconds=0)

    with redis_server(appendonly=False) as server:
        before = _open_sockets()
        with Client(server.url) as client, pytest.raises(UnknownJobError):
            client.wait("nowhere", unknown_seconds=0)
        assert _open_sockets() == before
        asyncio.run(look())
        assert _open_sockets() == before


def _open_sockets() -> int:
    gc.collect()
    return sum(isinstance(each, socket.socket) and each.fileno() != -1 for each in gc.get_objects())
