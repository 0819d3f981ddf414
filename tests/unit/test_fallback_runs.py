"""Rows of a bulk run that go on at their fallbacks: the run finds them there, once each, whatever becomes of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import fakeredis
import pytest

from bide.contract import Charged, Failure, FailureCode, JobState
from bide.ledger import AccountName, Verb
from bide.ledger.keys import prefix
from tests.unit.bulk_world import ACCOUNT, World

SECOND = AccountName("photogpt", "second")


def rows(count: int, *, after_charge: bool = False) -> list[dict[str, Any]]:
    """Requests that go on at a second account."""
    params = [{"modelID": "m1", "prompt": f"fox {number}"} for number in range(count)]
    more = {**SECOND._asdict(), "operation": "images.generation", "after_charge": after_charge}
    return [
        {
            "provider": "photogpt",
            "operation": "images.generation",
            "params": each,
            "fallbacks": [{**more, "params": each}],
        }
        for each in params
    ]


@pytest.fixture
def world() -> World:
    """A run's world."""
    return World(fakeredis.FakeRedis(decode_responses=True, version=(7,)))


def begin(world: World, requests: list[dict[str, Any]]) -> None:
    """A run begins while its first account is paused: its rows are in line there."""
    world.ledger.accounts.pause(ACCOUNT, reason="no credit", by="bide")
    world.begin(requests)
    world.feed()


def leave(world: World) -> None:
    """The line of the first account goes on at the second one."""
    world.ledger.accounts.sweep(ACCOUNT)


def accounts(world: World) -> Counter[str]:
    """The accounts of the run's live rows, as the run notes them."""
    return Counter(str(live.account) for live in world.runs.live("r"))


def work_there(world: World) -> None:
    """Messages line the rows up at the second account; workers and provider do all there is to do."""
    for clock in ("lease", "queued"):
        for job_id in world.server.zrange(f"{prefix(SECOND)}{clock}", 0, -1):
            world.ledger.jobs.step(str(job_id), SECOND, token="t")
    for clock in ("queued", "lease"):
        for job_id in world.server.zrange(f"{prefix(SECOND)}{clock}", 0, -1):
            world._finish(prefix(SECOND), clock, str(job_id), "")


def test_rows_go_on_and_are_collected(world: World) -> None:
    """Each has one line of the results, with the account that made it; nothing of it is left in Redis."""
    begin(world, rows(3))
    assert accounts(world) == {str(ACCOUNT): 3}
    leave(world)
    assert accounts(world) == {str(SECOND): 3}
    for _ in range(5):
        work_there(world)
        world.feed()
    assert world.states() == ["succeeded"] * 3
    assert {line["account"] for line in world.lines()} == {"second"}
    assert sorted(world.bought.values()) == [1, 1, 1]
    assert [*world.server.scan_iter("bide:{*}:job:*")] == []


def test_a_paused_run_takes_them_back(world: World) -> None:
    """They begin at their first account again, since nothing was bought."""
    begin(world, rows(3))
    leave(world)
    world.feed()
    work = [str(job_id) for job_id in world.server.zrange(f"{prefix(SECOND)}lease", 0, -1)]
    world.ledger.accounts.pause(SECOND, reason="no credit", by="bide")
    for job_id in work:
        assert world.ledger.jobs.step(job_id, SECOND, token="t").verb is Verb.WAIT
    world.runs.pause("r", why="lunch")
    world.feed()
    assert accounts(world) == {str(ACCOUNT): 3}
    assert {live.kind for live in world.runs.live("r")} == {"c"}
    for account in (ACCOUNT, SECOND):
        world.ledger.accounts.resume(account)
    world.runs.resume("r")
    world.run_to_its_end()
    assert world.states() == ["succeeded"] * 3
    assert sorted(world.bought.values()) == [1, 1, 1]


def test_a_row_that_may_have_been_paid_for_is_not_taken_back(world: World) -> None:
    """It waits at its fallback: begun anew it could be bought twice at its first account."""
    world.begin(rows(1, after_charge=True))
    world.feed()
    [job_id] = map(str, world.server.zrange(f"{prefix(ACCOUNT)}lease", 0, -1))
    record = world.ledger.jobs.step(job_id, ACCOUNT, token="t").record
    assert record
    attempt = world.ledger.submits.intend(record, "t")
    failure = Failure(code=FailureCode.REJECTED, message="no", job_id=job_id, charged=Charged.YES)
    world.ledger.jobs.conclude(record, "t", JobState.FAILED, error=failure.model_dump_json(), attempt=attempt)
    world.ledger.accounts.pause(SECOND, reason="no credit", by="bide")
    world.ledger.jobs.step(job_id, SECOND, token="t")
    world.runs.pause("r", why="lunch")
    world.feed()
    assert accounts(world) == {str(SECOND): 1}
    assert {live.kind for live in world.runs.live("r")} == {"o"}


def test_a_row_between_two_accounts_is_not_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The feeder had read the run's rows before they went on, and looks for them where they were."""
    begin(world, rows(3))
    before = world.runs.live("r")
    leave(world)
    with monkeypatch.context() as patched:
        patched.setattr(world.runs, "live", lambda _: before)
        world.feed()
    run = world.runs.read("r")
    assert run
    assert run.ended["failed"] == 0
    for _ in range(5):
        work_there(world)
        world.feed()
    assert world.states() == ["succeeded"] * 3
