"""Whole workers and pollers over TLS and through a sentinel: a job comes home, also after the leader has died."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bide.client import Client
from tests.integration.caller import image
from tests.integration.guarded_redis import PASSWORD, led_redis, tls_redis
from tests.integration.health_check import HEALTHY, health
from tests.integration.rig import Rig
from tests.integration.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.integration

MASTER = "bide-master"


class AddressedRig(Rig):
    """The deployment on a Redis at another address; the rig's own stays empty."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self.url = url

    def environment(self) -> dict[str, str]:
        own = {"BIDE_BROKER_URL": self.url, "BIDE_SENTINEL_MASTER": MASTER, "TMPDIR": str(self._folder)}
        return {**super().environment(), **own}

    def healthy(self, name: str) -> bool:
        """Whether a process's health check ends with 0."""
        return health(name, self.environment())[0] == HEALTHY


@contextmanager
def deployed(folder: Path, url: str) -> Iterator[tuple[AddressedRig, Client]]:
    """Worker and poller at an address, and a client there."""
    (folder / "rig").mkdir()
    with AddressedRig(folder / "rig", url) as rig, Client(url, sentinel_master=MASTER) as client:
        yield rig, client


def check_job(client: Client) -> None:
    """One job comes home."""
    result = client.wait(client.submit(image()), timeout_seconds=PATIENCE_SECONDS)
    assert (result.state, len(result.outputs)) == ("succeeded", 1)


def check_quiet(rig: AddressedRig) -> None:
    """Nothing went another way than over the address, and no password into the logs."""
    with rig.server() as plain:
        assert plain.dbsize() == 0
    assert PASSWORD not in rig.worker.output() + rig.poller.output()


def test_worker_over_tls(tmp_path: Path) -> None:
    """A job is submitted, polled and stored by processes that reach Redis over TLS alone, and these are healthy."""
    with tls_redis(tmp_path) as url, deployed(tmp_path, url) as (rig, client):
        check_job(client)
        eventually(lambda: rig.healthy("worker"), what="the worker is healthy")
        check_quiet(rig)


@pytest.mark.whole
def test_worker_through_a_sentinel(tmp_path: Path) -> None:
    """A job is done by processes that ask a sentinel for Redis, and another one after the leader was killed."""
    with led_redis(tmp_path, MASTER) as (url, leader), deployed(tmp_path, url) as (rig, client):
        check_job(client)
        eventually(lambda: rig.healthy("worker"), what="the worker is healthy")

        leader.kill()
        eventually(lambda: client.status("nobody") is None, what="the new leader answers")

        check_job(client)
        check_quiet(rig)
