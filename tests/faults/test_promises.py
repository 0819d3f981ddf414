"""SIGKILL around submits that their provider promises something of: no doubt is left, and nothing is bought twice.

Providers that break their promise are found out: what they bought twice stands in the result, or is unconfirmed.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bide.crashpoints import Point
from bide.ledger import AccountName, Ledger, Record
from bide.ledger.keys import prefix
from bide.ledger.settling import evidence
from tests import plugins
from tests.faults.crash_stage import CrashStage
from tests.faults.guild_server import GuildServer
from tests.faults.kills import Kill, Order
from tests.integration.caller import Caller
from tests.integration.processes import ROOT, Process
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

#: The points of a submit; a job killed at another is as if its provider promised nothing.
KILLS: tuple[Point, ...] = ("intent_written", "request_half_sent", "answer_read")

#: Operations whose doubts settle themselves, and the words in a motif by which the guild breaks its promise.
PROMISED = ("replay", "reject", "client_id", "free")
LIES = (("replay", "[forgets]"), ("reject", "[hides]"), ("client_id", "[hides]"))

GUILD = AccountName("guild", "default")

#: How long a doubt may take: a lease, the time for which a request may be under way, and some turns of the sweeper.
SETTLED_SECONDS = 60.0


class PromiseStage(CrashStage):
    """A deployment with the guild's adapter installed, as a package of its own."""

    def __init__(self, folder: Path, guild: GuildServer) -> None:
        super().__init__(folder, short=True)
        self._guild = guild
        self._plugins = folder / "plugins"
        plugins.install(self._plugins, "guild", "tests.guild_adapter:QuickGuildAdapter")

    def environment(self) -> dict[str, str]:
        own = {
            "BASE_URL": self._guild.url,
            "MEDIA_HOSTS": json.dumps([f"127.0.0.1:{self._guild.port}"]),
            "API_KEY": "k",
        }
        return {
            **super().environment(),
            **{f"BIDE_PROVIDERS__GUILD__{name}": value for name, value in own.items()},
            "BIDE_TIMING__CONNECT_TIMEOUT_SECONDS": "2",
            "BIDE_TIMING__READ_TIMEOUT_SECONDS": "2",
            "BIDE_TIMING__SUBMIT_TIMEOUT_SECONDS": "2",
            "PYTHONPATH": f"{self._plugins}:{ROOT}",
        }


@dataclass
class Played:
    """The jobs by what they are, and the deployment in which they have ended."""

    stage: PromiseStage
    caller: Caller
    guild: GuildServer
    jobs: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def submit(self, point: str, operation: str, lie: str = "") -> str:
        """Send one job; its id."""
        job_id = self.jobs[point, operation, lie] = str(uuid.uuid4())
        request = {"provider": "guild", "operation": operation, "params": {"motif": f"{job_id} {lie}"}}
        self.caller.submit(request, task_id=job_id, ignore_result=False)
        return job_id

    def kill(self, point: Point, process: Process) -> None:
        """Have a job of each kind come to the point, and the worker die there."""
        order = self.stage.order(process)
        kinds = [*((operation, "") for operation in PROMISED), *(LIES if point == "answer_read" else ())]
        ids = {kind: str(uuid.uuid4()) for kind in kinds}
        Order(point, tuple(ids.values())).write(order)
        for (operation, lie), job_id in ids.items():
            self.jobs[point, operation, lie] = job_id
            request = {"provider": "guild", "operation": operation, "params": {"motif": f"{job_id} {lie}"}}
            self.caller.submit(request, task_id=job_id, ignore_result=False)
        eventually(lambda: not process.alive, what=f"all come to {point}, and their process is killed")
        Kill.take(order)
        process.start()

    def end(self, point: str, operation: str, lie: str = "") -> tuple[Record, Any, list[str]]:
        """How a job has ended: its record, what its caller has, and what was bought."""
        job_id = self.jobs[point, operation, lie]
        answer = self.caller.result_of(job_id).get(timeout=SETTLED_SECONDS, propagate=False)
        with self.stage.server() as server:
            record = Ledger(server).jobs.read(GUILD, job_id)
        assert record is not None
        return record, answer, self.guild.bought.get(f"{job_id} {lie}", [])


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """All kills one after another; the doubts of each settle while the next ones come."""
    with (
        GuildServer() as guild,
        PromiseStage(tmp_path_factory.mktemp("stage"), guild) as stage,
        Caller(stage.redis.url) as caller,
    ):
        played = Played(stage, caller, guild)
        for point in KILLS:
            played.kill(point, stage.worker)
        played.submit("", "replay", "[breaks]")
        played.submit("", "replay", "[breaks] [forgets]")
        yield played


@pytest.mark.parametrize("operation", PROMISED)
@pytest.mark.parametrize("point", KILLS)
def test_a_promised_submit_that_was_killed(point: Point, operation: str, played: Played) -> None:
    """It succeeds without a person, and was bought once; a free one may have been made again."""
    record, answer, bought = played.end(point, operation)
    assert record.text("state") == "succeeded", answer
    assert len(bought) == 1 or (operation == "free" and len(bought) == 2)
    assert evidence(record)
    assert answer["outputs"]
    assert not answer.get("warnings")


@pytest.mark.parametrize(("operation", "lie"), LIES)
def test_a_broken_promise_is_seen(operation: str, lie: str, played: Played) -> None:
    """What was bought twice is named in the result, as far as the provider tells."""
    record, answer, bought = played.end("answer_read", operation, lie)
    assert len(bought) == 2
    assert record.text("state") == "succeeded"
    [warning] = answer["warnings"]
    assert "the key was new" in warning if operation == "replay" else all(each in warning for each in bought)


def test_an_error_of_the_provider_is_settled(played: Played) -> None:
    """HTTP 500 after the purchase: the replay gives the job."""
    record, _, bought = played.end("", "replay", "[breaks]")
    assert (record.text("state"), len(bought)) == ("succeeded", 1)


def test_a_key_that_the_provider_had_and_forgot_is_held(played: Played) -> None:
    """It answered the first submit, and says that the key is new: unconfirmed, with the id that it gave."""
    record, answer, bought = played.end("", "replay", "[breaks] [forgets]")
    assert (record.text("state"), len(bought)) == ("unconfirmed", 2)
    failure = json.loads(str(answer))
    assert failure["code"] == "submission_unknown"
    assert bought[1] in failure["message"]


def test_no_job_is_left(played: Played) -> None:
    """All clocks are empty."""
    for point, operation, lie in played.jobs:
        played.end(point, operation, lie)
    with played.stage.server() as server:
        clocks = [f"{prefix(GUILD)}{clock}" for clock in ("queued", "lease", "due")]
        eventually(lambda: not any(map(server.zcard, clocks)), what="all clocks are empty")
