"""Providers' calls end to end: a deployment whose polls are minutes apart, and an endpoint that the sandbox calls."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import redis

from bide.ledger import AccountName, Ledger, Record
from bide.ledger.keys import prefix
from bide.ledger.poll_now import GAP_SECONDS
from bide.polling.duration_model import DurationModel
from bide.webhooks.incoming import Hooks
from tests.integration.caller import Caller, failure, marker, succeeded
from tests.integration.processes import ROOT, Process
from tests.integration.rig import LATENCY_SECONDS, Rig
from tests.integration.servers import free_port
from tests.integration.waiting import eventually
from workers.metrics.counted import HOOKS
from workers.metrics.tally import metrics_key

pytestmark = pytest.mark.integration

ACCOUNT = AccountName("dreambooth", "default")
SECRET = "a-secret-of-the-deployment-with-hooks"

#: When jobs would be looked at if nobody called [seconds].
FAR_SECONDS = 600.0


#: Polls are counted here: on a slow machine none is to be given up, and made once more.
PATIENT = {"BIDE_TIMING__LEASE_SECONDS": "30", "BIDE_TIMING__READ_TIMEOUT_SECONDS": "15"}


class HookedRig(Rig):
    """A deployment that providers may call, and that asks by itself after ten minutes."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()

    @cached_property
    def endpoint(self) -> Process:
        """The process that is called."""
        command = [sys.executable, "-m", "workers.hooks"]
        log = self._folder / "hooks.log"
        return Process("hooks", command, env=self.environment(), ready=r"hooks at (http://\S+)", log=log)

    def environment(self) -> dict[str, str]:
        """With an endpoint on this machine."""
        polls = {"FIRST": FAR_SECONDS, "CAP": FAR_SECONDS}
        polling = {f"BIDE_PROVIDERS__DREAMBOOTH__POLL_{name}_SECONDS": str(seconds) for name, seconds in polls.items()}
        hooks = {"URL": f"http://127.0.0.1:{self.port}/hooks", "SECRET": SECRET, "PORT": str(self.port)}
        return (
            super().environment() | PATIENT | polling | {f"BIDE_HOOKS__{name}": value for name, value in hooks.items()}
        )

    def address(self, job_id: str) -> str:
        """Where the provider calls about a job."""
        return Hooks(f"http://127.0.0.1:{self.port}/hooks", SECRET, *ACCOUNT).address(job_id)

    def record(self, job_id: str) -> Record | None:
        """A job's record."""
        with self.server() as server:
            return Ledger(server).jobs.read(ACCOUNT, job_id)

    def due_seconds(self, job_id: str) -> float:
        """How long until a job's next look."""
        with self.server() as server:
            score: Any = server.zscore(f"{prefix(ACCOUNT)}due", job_id)
            seconds, _ = server.time()
        return float(score or 0) - float(seconds)

    def polls(self) -> int:
        """How often the provider was asked about jobs."""
        asked: int = self.sandbox.stats()["providers"]["dreambooth"].get("poll", 0)
        return asked


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HookedRig]:
    """The deployment, its endpoint included."""
    with HookedRig(tmp_path_factory.mktemp("hooked")) as rig:
        rig.endpoint.start()
        rig.sandbox.order([{"provider": "dreambooth", "fault": "eta"}])  # else an estimate sets the first poll's time
        yield rig
        rig.endpoint.kill()


@pytest.fixture(scope="module")
def service(hooked: HookedRig) -> Iterator[Caller]:
    """A service that submits jobs to it."""
    with Caller(hooked.redis.url) as caller:
        yield caller


def dream(prompt: str) -> dict[str, Any]:
    """A request for two pictures, which the sandbox never finishes at once."""
    params = {"model_id": "midjourney", "prompt": prompt, "samples": 2}
    return {"provider": "dreambooth", "operation": "text2img", "params": params}


def test_a_call_ends_the_wait(hooked: HookedRig, service: Caller) -> None:
    """Seconds instead of ten minutes, with a single poll; what is learned is how long the job took."""
    outcome = succeeded(service.submit(dream(marker())))

    assert outcome["polls"] == 1
    assert len(outcome["outputs"]) == 2
    assert hooked.polls() == 1
    eventually(lambda: learned(hooked).durations.jobs == 1, what="the job has taught how long it took")
    [half] = learned(hooked).durations.quantiles_seconds(0.5)
    assert half > 0.6 * LATENCY_SECONDS  # spread over all the time before it would be a third of a second


def learned(hooked: HookedRig) -> DurationModel:
    """What is known of how long such jobs take."""
    with hooked.server() as server:
        return DurationModel.from_text(Ledger(server).accounts.duration_models(ACCOUNT).get("text2img", ""))


def test_a_failure_is_found_as_soon(service: Caller) -> None:
    """The call says `failed`; the provider's own status says so, too, and only that counts."""
    failed = failure(service.submit(dream(f"{marker()} [fault:fail]")))
    assert (failed["code"], failed["provider"]) == ("generation_failed", "dreambooth")


def test_a_lie_changes_nothing(hooked: HookedRig, service: Caller) -> None:
    """The call says `success` while the job runs: one poll, after which it waits as before."""
    result = service.submit(dream(f"{marker()} [fault:hook_lies:1] [fault:never_finishes]"))

    eventually(
        lambda: (found := hooked.record(result.id)) and found.number("polls") == 1, what="the call brings a poll"
    )
    record = hooked.record(result.id)
    assert record is not None
    assert (record.text("state"), record.text("note")) == ("running", "processing")
    assert hooked.due_seconds(result.id) > FAR_SECONDS * 0.7
    assert result.state == "RETRY"


def test_a_flood_brings_few_polls(hooked: HookedRig, service: Caller) -> None:
    """A thousand true calls about one job, as fast as they can be made: a poll every few seconds at most."""
    result = service.submit(dream(f"{marker()} [fault:never_finishes]"))
    eventually(lambda: hooked.state(result.id, provider="dreambooth") == "running", what="the job runs")
    before, begun = hooked.polls(), time.monotonic()

    codes = asyncio.run(call(hooked.address(result.id), 1000))
    eventually(lambda: hooked.polls() > before, what="the first call brings a poll")
    took = time.monotonic() - begun

    assert set(codes) <= {200, 503}
    assert codes.count(200) > 100
    assert hooked.polls() - before <= 1 + took / GAP_SECONDS
    assert hooked.state(result.id, provider="dreambooth") == "running"


async def call(url: str, times: int) -> list[int]:
    """The codes of so many calls at once."""

    async def once(session: aiohttp.ClientSession) -> int:
        async with session.post(url, json={"status": "success"}) as answer:
            return answer.status

    async with aiohttp.ClientSession() as session:
        return list(await asyncio.gather(*(once(session) for _ in range(times))))


def test_strangers_are_not_heard(hooked: HookedRig, service: Caller) -> None:
    """A call that has the job's id, and a wrong address, changes nothing."""
    result = service.submit(dream(f"{marker()} [fault:never_finishes]"))
    eventually(lambda: hooked.state(result.id, provider="dreambooth") == "running", what="the job runs")
    before = hooked.due_seconds(result.id)

    assert asyncio.run(call(hooked.address(result.id)[:-2], 3)) == [404] * 3
    assert hooked.due_seconds(result.id) > before - 60


def test_no_secret_is_left_behind(hooked: HookedRig, service: Caller) -> None:
    """Neither the deployment's secret nor any job's address stands in Redis or in a log."""
    outcome = succeeded(service.submit(dream(marker())))
    proof = hooked.address(outcome["job_id"]).rpartition("/")[2]
    kept = "".join([*map(str, values(hooked.server())), *(text for _, text in hooked.logs()), hooked.endpoint.output()])

    assert outcome["job_id"] in kept
    assert SECRET not in kept
    assert proof not in kept


def values(server: redis.Redis) -> Iterator[Any]:
    """Everything a Redis holds."""
    with server:
        for key in server.scan_iter("*"):
            kind = server.type(key)
            read = {"hash": server.hgetall, "string": server.get, "set": server.smembers}
            ranged = server.zrange if kind == "zset" else server.lrange
            yield read[kind](key) if kind in read else ranged(key, 0, -1)


def test_redis_away_means_come_back(hooked: HookedRig) -> None:
    """503 while it is away, in good time; afterwards the same call is taken."""
    hooked.redis.kill()
    begun = time.monotonic()
    assert asyncio.run(call(hooked.address("some-job"), 2)) == [503] * 2
    assert time.monotonic() - begun < 25  # a provider gives up after half a minute
    hooked.redis.start()
    eventually(lambda: asyncio.run(call(hooked.address("some-job"), 1)) == [200], what="calls are taken again")


def test_it_ends_when_asked(hooked: HookedRig) -> None:
    """SIGTERM: exit code 0, and what was counted is written."""
    address = hooked.address("some-job")
    assert asyncio.run(call(address, 3)) == [200] * 3
    assert asyncio.run(call(f"{address}x", 2)) == [404] * 2
    hooked.endpoint.ask_to_end()
    assert hooked.endpoint.wait(20) == 0
    with hooked.server() as server:
        counts = HOOKS.counts(server.hgetall(metrics_key(ACCOUNT)))
    assert counts["nothing"] >= 3
    assert counts["refused"] >= 2
    assert counts["other"] == 0
    hooked.endpoint.start()


@pytest.mark.parametrize("missing", ["URL", "SECRET"])
def test_without_an_address_it_says_what_to_set(hooked: HookedRig, missing: str) -> None:
    """Nothing to serve is a mistake of the operator."""
    env = hooked.environment()
    del env[f"BIDE_HOOKS__{missing}"]
    command = [sys.executable, "-m", "workers.hooks"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)

    assert done.returncode == 1
    assert f"BIDE_HOOKS__{missing}" in done.stderr
    assert "Traceback" not in done.stderr
