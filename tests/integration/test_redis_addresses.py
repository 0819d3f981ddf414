"""Clients over every kind of address: TLS, a Unix socket, sentinels, also while these change the leader."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import redis

from bide.client import AsyncClient, Client
from bide.contract import JobState
from bide.redis_client import connect
from tests.integration.caller import image
from tests.integration.guarded_redis import led_redis, socket_redis, tls_redis
from tests.integration.stored import store_result
from tests.integration.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.integration

MASTER = "bide-master"


def test_over_tls(tmp_path: Path) -> None:
    """Record, message and result travel over TLS."""
    with tls_redis(tmp_path) as url:
        check_whole_way(url)


def test_tls_checks_certificates(tmp_path: Path) -> None:
    """A server whose authority nobody named is not spoken to: not by the ledger's client, and not by the broker's."""
    with tls_redis(tmp_path) as url:
        stranger = url.partition("?")[0]
        with connect(stranger, retry=None) as server, pytest.raises(redis.ConnectionError, match="verify failed"):
            server.ping()
        with Client(stranger, ledger_url=url) as client, connect(url) as server:
            client.submit(image())
            assert server.llen("bide.submit") == 0


def test_over_a_socket(tmp_path: Path) -> None:
    """Record, message and result travel over a Unix socket, also as kombu writes its address."""
    with socket_redis(tmp_path) as url:
        check_whole_way(url)
        check_whole_way(url.replace("unix://", "redis+socket://").replace("db=", "virtual_host="))


def test_over_sentinels(tmp_path: Path) -> None:
    """The leader is asked for, one of the sentinels may be away, and a job outlives a change of the leader."""
    with led_redis(tmp_path, MASTER) as (url, leader):
        check_whole_way(url)
        with Client(url, sentinel_master=MASTER) as client:
            job_id = client.submit(image())
            with connect(url, sentinel_master=MASTER) as server:
                server.wait(1, 5000)
            leader.kill()
            status = eventually(lambda: client.status(job_id), what="the new leader answers")
            assert status.state is JobState.QUEUED
            assert client.submit(image(), job_id=job_id) == job_id


def check_whole_way(url: str) -> None:
    """A client submits, its message is in the queue, and what a worker stores ends a wait, also an asynchronous one."""
    with Client(url, sentinel_master=MASTER) as client, connect(url, sentinel_master=MASTER) as server:
        job_id = client.submit(image())
        status = client.status(job_id)
        assert status is not None
        assert status.state is JobState.QUEUED
        assert job_id in str(server.lindex("bide.submit", 0))
        store_result(server, job_id)
        assert client.wait(job_id, timeout_seconds=PATIENCE_SECONDS).job_id == job_id
    assert asyncio.run(waited(url, job_id)) == job_id


async def waited(url: str, job_id: str) -> str:
    """The id in the result, as an asynchronous client reads it."""
    async with AsyncClient(url, sentinel_master=MASTER) as client:
        return (await client.wait(job_id, timeout_seconds=PATIENCE_SECONDS)).job_id
