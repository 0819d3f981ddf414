"""The users of Redis that docs/security.md shows: each can do its work, and nothing beyond it."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from bide.client import AsyncClient, Client
from bide.contract import CONTROL_QUEUE, QUEUES, SUBMIT_QUEUE, JobState
from bide.ledger.keys import ACCOUNTS_KEY
from tests.integration.caller import Caller, image, marker, succeeded
from tests.integration.processes import ROOT, Process
from tests.integration.servers import RedisServer, free_port
from tests.integration.test_hooks import HookedRig, dream
from tests.integration.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.integration

#: Taking messages, and throwing them away.
TAKING = tuple(f"{command} {queue}" for queue in QUEUES for command in ("RPOP", "DEL"))

#: The rules of each user, as they stand in the page.
USERS: dict[str, str] = dict(re.findall(r"(?m)^user (\w+) (on .+)$", (ROOT / "docs" / "security.md").read_text()))


def address(server: RedisServer, user: str) -> str:
    """A server as one of its users reaches it."""
    return f"redis://{user}:password-of-{user}@{urlsplit(server.url).netloc}/0"


class UsersRedis(RedisServer):
    """A Redis with these users; the one without a name stays, for tests that look."""

    def start(self) -> None:
        super().start()
        with redis.Redis.from_url(self.url) as server:
            for name, rules in USERS.items():
                words = rules.replace("PASSWORD", f"password-of-{name}").split()
                server.execute_command("ACL", "SETUSER", name, "reset", *words)


class UsersRig(HookedRig):
    """A deployment whose processes come to Redis as the users of the page."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.redis = UsersRedis(folder / "redis", appendonly=True)

    def environment(self) -> dict[str, str]:
        return super().environment() | {"BIDE_BROKER_URL": address(self.redis, "bide")}

    @cached_property
    def endpoint(self) -> Process:
        env = self.environment() | {"BIDE_BROKER_URL": address(self.redis, "hooks")}
        log = self._folder / "hooks.log"
        return Process(
            "hooks", [sys.executable, "-m", "workers.hooks"], env=env, ready=r"hooks at (http://\S+)", log=log
        )

    def refusals(self) -> set[tuple[str, str, str]]:
        """What Redis has refused since it was asked last: user, reason, command or key."""
        with self.server() as server:
            log: Any = server.acl_log()
            server.acl_log_reset()
        return {(entry["username"], entry["reason"], entry["object"]) for entry in log}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UsersRig]:
    """Worker, poller and the endpoint of hooks, each with a user of its own."""
    with UsersRig(tmp_path_factory.mktemp("users")) as rig:
        rig.endpoint.start()
        yield rig
        rig.endpoint.kill()


def test_a_service_does_all_that_the_client_can(guarded: UsersRig) -> None:
    """Submit, status, wait, result and cancel, also asynchronously; workers and pollers do the jobs."""
    url = address(guarded.redis, "service")
    with Client(url) as client:
        job_id = client.submit(image(), idempotency_key=marker())
        assert client.wait(job_id, timeout_seconds=PATIENCE_SECONDS).outputs
        assert client.result(job_id) is not None
        stopped = client.submit(image("[fault:never_finishes]"))
        client.cancel(stopped)
        eventually(lambda: _state(client, stopped) is JobState.CANCELED, what="the job is canceled")
    assert asyncio.run(_awaited(url)) == "succeeded"
    assert guarded.refusals() == set()


def _state(client: Client, job_id: str) -> JobState | None:
    status = client.status(job_id)
    return status.state if status else None


async def _awaited(url: str) -> str:
    async with AsyncClient(url) as client:
        result = await client.wait(await client.submit(image()), timeout_seconds=PATIENCE_SECONDS)
        return str(result.state)


def test_a_sender_submits_and_gets_its_result(guarded: UsersRig) -> None:
    """Any Celery client, without our code: one message, one result."""
    with Caller(address(guarded.redis, "sender")) as caller:
        assert succeeded(caller.submit(image()))["state"] == "succeeded"
    assert guarded.refusals() == set()


def test_a_hook_brings_a_poll(guarded: UsersRig) -> None:
    """The endpoint that the internet reaches has a user that sends to pollers alone."""
    with Caller(address(guarded.redis, "sender")) as caller:
        assert len(succeeded(caller.submit(dream(marker())))["outputs"]) == 2
    assert guarded.refusals() == set()


def test_metrics_only_reads(guarded: UsersRig) -> None:
    """All that is shown is read with rights to read."""
    env = guarded.environment() | {"BIDE_BROKER_URL": address(guarded.redis, "metrics")}
    command = [sys.executable, "-m", "workers.metrics", "--once"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    assert "\nbide_broker_up 1.0\n" in done.stdout
    assert guarded.refusals() == set()


@pytest.mark.parametrize(("name", "ready"), [("beat", r"beat: Starting"), ("flower", r"Visit me at")])
def test_other_processes_start_and_are_well(guarded: UsersRig, name: str, ready: str, tmp_path: Path) -> None:
    """Beat and Flower have the rights of workers: they send what these take."""
    env = guarded.environment() | {"PORT": "", "BIDE_FLOWER__PORT": str(free_port())}
    process = Process.of_procfile(name, env=env, ready=ready, folder=tmp_path)
    command = [sys.executable, "-m", "workers.health", name]
    try:
        process.start()
        eventually(
            lambda: not subprocess.run(command, cwd=ROOT, env=env, check=False, timeout=60).returncode or None,
            what=f"{name} is well",
        )
    finally:
        process.kill()
    assert guarded.refusals() == set()


@pytest.mark.parametrize(
    ("user", "command"),
    [
        *((user, command) for user in USERS for command in ("FLUSHALL", "KEYS *", "ACL LIST", "CONFIG GET *")),
        *((user, command) for user in USERS if user != "bide" for command in TAKING),
        *((user, "SET bide:x 1") for user in ("metrics", "sender")),
        *((user, "EVAL return(1) 0") for user in USERS if user != "bide"),
        *((user, "SET celery-task-meta-x 1") for user in USERS if user != "bide"),
        *((user, "RANDOMKEY") for user in USERS if user != "bide"),
        *((user, "SCAN 0") for user in USERS if user != "bide"),
        *((user, f"LRANGE {SUBMIT_QUEUE} 0 -1") for user in ("hooks", "service", "sender")),
        ("metrics", "GET celery-task-meta-x"),
        ("metrics", f"LPUSH {SUBMIT_QUEUE} x"),
        ("hooks", f"LPUSH {SUBMIT_QUEUE} x"),
        ("hooks", "GET celery-task-meta-x"),
        ("sender", f"SMEMBERS {ACCOUNTS_KEY}"),
        ("sender", f"LPUSH {CONTROL_QUEUE} x"),
        ("service", "LPUSH bide.store x"),
        ("service", "GET unacked"),
    ],
)
def test_nothing_beyond_it(guarded: UsersRig, user: str, command: str) -> None:
    """Redis refuses what a user has no business with."""
    with (
        redis.Redis.from_url(address(guarded.redis, user)) as server,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        server.execute_command(*command.split())
    assert guarded.refusals()
