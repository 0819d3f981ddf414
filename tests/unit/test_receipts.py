"""Receipts in the bucket: what they hold, when they are written, and what waits for them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bide.contract import JobState
from bide.errors import StorageError
from bide.receipts import Accepted, Intent, NotAccepted, any_since, remove_jobs
from tasks.steps.outcome import Suspend
from tests.unit.atelier import ACCOUNT, BASE
from tests.unit.receipts_world import (
    WHERE,
    World,
    asked,
    opened,
)


@pytest.fixture
def world() -> Iterator[World]:
    """A deployment in memory, with receipts."""
    with opened() as world:
        yield world


def test_what_a_receipt_holds(world: World) -> None:
    """The intent has what it takes to go on; the id follows. The account's key is in neither."""
    world.submit(idempotency_key="k", tenant="ada", metadata={"m": 1})
    world.receipts.stop()
    intent, accepted = world.bucket.receipts

    assert isinstance(intent, Intent)
    assert (intent.job_id, intent.account, intent.attempt, intent.signature) == ("a", str(ACCOUNT), 1, "s")
    assert json.loads(intent.request)["metadata"] == {"m": 1}
    assert {"op", "fp", "deadline", "tenant", "idem", "submits", "intended", "booked"} <= set(intent.record)
    assert {"token", "state", "queue"}.isdisjoint(intent.record)
    assert isinstance(accepted, Accepted)
    assert (accepted.provider_job_id, accepted.attempt) == ("7", 1)
    assert "planted-key" not in "".join(map(str, world.bucket.client.objects.values()))


def test_receipts_lie_by_day(world: World) -> None:
    """A rule of the store can remove old ones."""
    world.submit()
    world.receipts.stop()
    today = datetime.now(UTC)
    assert {key.removeprefix(WHERE)[:8] for key in world.bucket.client.objects} == {f"{today:%Y/%m/}"}
    assert any_since(world.storage, WHERE, since=today - timedelta(days=1))


def test_nothing_is_sent_before_the_bucket_has_the_intent(world: World) -> None:
    """When the request goes out, the receipt is there; its id is not."""
    seen: list[Any] = []
    world.meanwhile = lambda: seen.extend(world.bucket.receipts)
    world.submit()
    assert [type(each) for each in seen] == [Intent]


@pytest.mark.parametrize("failure", [StorageError("503"), StorageError("AccessDenied", permanent=True)], ids=str)
def test_a_bucket_that_refuses_puts_the_submit_off(world: World, failure: StorageError) -> None:
    """Nothing is sent; the job waits in line and says why; it is bought once the bucket takes receipts again."""
    world.bucket.failure = failure
    outcome = world.submit()

    assert isinstance(outcome, Suspend)
    assert world.purchases() == 0
    assert world.state() == JobState.QUEUED
    assert world.record().text("note").startswith("not sent: the object store has not taken its receipt")
    world.bucket.failure = None
    world.clock.advance(10)
    world.again()
    assert (world.purchases(), world.state()) == (1, JobState.RUNNING)


def test_a_bucket_that_is_slow_puts_the_submit_off_in_time(world: World) -> None:
    """The put may come through later: then the bucket also knows that nothing was sent, and nobody is in doubt."""
    world.receipts.stop()
    world.writer_seconds = 0.05
    world.start_writer()
    world.bucket.gate = threading.Event()
    world.submit()
    assert (world.purchases(), world.state()) == (0, JobState.QUEUED)
    world.bucket.gate.set()
    world.lose()

    assert {type(each) for each in world.bucket.receipts} == {Intent, NotAccepted}
    assert world.recover() == {"a": ("receipt", "not_bought", "")}
    assert world.state() == ""


def test_submits_of_the_same_moment_share_an_object(world: World) -> None:
    """While one put is under way the others gather, and go out together; each waits for its own."""
    world.bucket.gate = threading.Event()
    records = list("abcdef")
    for name in records:
        world.ledger.jobs.open(name, asked(), deadline_seconds=900)
        world.server.hset(f"bide:{{{ACCOUNT}}}:job:{name}", "submits", "1")
    done: list[str] = []

    def begin(job_id: str) -> None:
        world.receipts.begin(world.record(job_id), 1)
        done.append(job_id)

    first, *others = (threading.Thread(target=begin, args=(name,)) for name in records)
    first.start()
    assert world.bucket.begun.wait(5)
    for each in others:
        each.start()
    writer: Any = world.receipts
    while len(writer._pending) < 5:
        threading.Event().wait(0.005)
    assert done == []
    world.bucket.gate.set()
    for each in (first, *others):
        each.join(5)
    assert sorted(done) == sorted(records)
    assert len(world.bucket.client.objects) == 2


def test_an_id_is_written_once_the_bucket_is_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it, and it is not given up."""
    monkeypatch.setattr("workers.services.receipt_writer.AGAIN_SECONDS", 0.01)

    def away() -> None:
        world.bucket.failure = StorageError("away")

    world.meanwhile = away
    world.submit()
    assert world.state() == JobState.RUNNING
    world.bucket.failure = None
    world.receipts.stop()
    assert [type(each) for each in world.bucket.receipts] == [Intent, Accepted]


def test_a_ledger_that_is_lost_before_the_receipt_sends_nothing(world: World) -> None:
    """The intent was written, and is gone when the receipt is made of it."""
    writer, copy = world.receipts, world.ledger.jobs.copy_of

    def lost(record: Any) -> Any:
        world.server.flushall()
        return copy(record)

    world.ledger.jobs.copy_of = lost  # type: ignore[method-assign]  # the loss comes between
    assert isinstance(world.submit(), Suspend)
    writer.stop()
    assert world.purchases() == 0
    assert [type(each) for each in world.bucket.receipts] == [NotAccepted]


def test_what_has_succeeded_costs_no_put(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its receipt goes along with the next ones, or with others of its kind after a while."""
    for name in "abc":
        world.replies["POST", f"{BASE}/works"].clear()
        world.reply("POST", f"{BASE}/works", {"id": name})
        world.submit(name)
        world.receipts.succeeded(ACCOUNT, name, created=world.record(name).text("created"))
    world.receipts.stop()
    assert len(world.bucket.client.objects) <= 7
    assert [each.job_id for each in world.bucket.receipts if each.kind == "ended"] == ["a", "b", "c"]
    monkeypatch.setattr("workers.services.receipt_writer.LINGER_SECONDS", 0.01)
    world.start_writer()
    world.bucket.begun.clear()
    world.receipts.succeeded(ACCOUNT, "d", created="1")
    assert world.bucket.begun.wait(5)


def test_a_jobs_receipts_can_be_removed(world: World) -> None:
    """Those of the others stay, also where they share an object."""
    world.submit("a")
    world.reply("POST", f"{BASE}/works", {"id": "8"})
    world.submit("b")
    world.receipts.stop()
    assert remove_jobs(world.storage, {"a"}) == 2
    assert {each.job_id for each in world.bucket.receipts} == {"b"}
