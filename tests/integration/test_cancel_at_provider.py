"""A cancel reaches a provider that can stop jobs, from wherever it comes; what it makes all the same comes home."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from bide.client import AsyncClient, Client, JobEnded, ProgressChanged
from bide.providers import installed
from bide.providers.base import Progress
from tests.integration.bide_command import bide
from tests.integration.caller import Caller, failure, marker, succeeded
from tests.integration.rig import Rig
from tests.integration.stoppable import StoppableAdapter, StoppableRig, Studio
from tests.integration.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    """The provider."""
    with Studio() as studio:
        yield studio


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, studio: Studio) -> Iterator[Rig]:
    """A deployment in which its adapter is installed, here and in the processes."""
    installed()["stoppable"] = StoppableAdapter()
    with StoppableRig(tmp_path_factory.mktemp("stoppable"), studio) as rig:
        yield rig
    del installed()["stoppable"]


def drawing(prompt: str) -> dict[str, Any]:
    """A request for one picture of the provider."""
    return {"provider": "stoppable", "operation": "draw", "params": {"prompt": prompt}}


def test_everybody_s_cancel_reaches_the_provider(rig: Rig, studio: Studio) -> None:
    """Flower's revoke, the command, the client of threads and that of loops: each job is stopped, and charged once."""
    marked = marker()
    with Client(rig.redis.url) as client, Caller(rig.redis.url) as caller:
        jobs = {who: client.submit(drawing(f"{marked} {who}")) for who in ("flower", "command", "client", "loop")}
        eventually(
            lambda: all(rig.state(job, provider="stoppable") == "running" for job in jobs.values()), what="drawn"
        )
        caller.app.control.revoke(jobs["flower"])
        client.cancel(jobs["client"])
        asyncio.run(cancel_by_loop(rig, jobs["loop"]))
        assert bide(rig, "cancel", jobs["command"]).returncode == 0
        for who, job in jobs.items():
            failed = failure(caller.result_of(job))
            assert (failed["code"], studio.cancels[f"{marked} {who}"]) == ("canceled", 1), who
            assert "the provider has stopped it" in failed["message"]
    assert len(studio.bought(marked)) == len(jobs)


async def cancel_by_loop(rig: Rig, job_id: str) -> None:
    """Cancel by the client of an event loop."""
    async with AsyncClient(rig.redis.url) as client:
        await client.cancel(job_id)


def test_a_late_success_is_stored_and_followed(rig: Rig, studio: Studio) -> None:
    """The provider took note of the cancel, and is done all the same: the caller gets its picture."""
    marked = f"{marker()} stubborn"
    with Client(rig.redis.url) as client, Caller(rig.redis.url) as caller:
        job_id = client.submit(drawing(marked))
        end = None
        for event in client.follow(job_id, timeout_seconds=PATIENCE_SECONDS):
            if isinstance(event, ProgressChanged):
                assert event.progress == Progress(fraction=0.5)
                client.cancel(job_id)
            end = event
        assert isinstance(end, JobEnded)
        assert end.result is not None
        assert succeeded(caller.result_of(job_id))["outputs"][0]["uri"] == end.result.outputs[0].uri
    assert (studio.cancels[marked], studio.bought(marked)) == (1, [marked])
