"""A crash between each two steps, and the ledger is lost with it: what receipts make of each job again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import fakeredis
import pytest

from bide.contract import Failure, FailureCode, JobResult, JobState
from bide.erasure.erase import Eraser
from bide.erasure.wanted import Wanted
from bide.errors import SubmissionUnknownError
from bide.ledger import Verb
from config.settings import load
from tests.contract.observed_redis import ObservedRedis
from tests.unit.atelier import ACCEPTED, ACCOUNT, BASE, KEY, STATUS, Killed
from tests.unit.receipts_world import (
    World,
    answer_both,
    asked,
    bought_no_more,
    died,
    goes_home,
    opened,
    store_result,
)
from workers.recover import Recoverer


@pytest.fixture
def world() -> Iterator[World]:
    """A deployment in memory, with receipts."""
    with opened() as world:
        yield world


def test_a_crash_before_the_receipt(world: World) -> None:
    """Nothing was sent: nothing is known, and nothing was bought."""
    world.receipts.begin = died  # type: ignore[method-assign]  # the process dies there
    with pytest.raises(Killed):
        world.submit()
    world.lose()
    assert world.recover() == {}
    assert world.purchases() == 0


def test_a_crash_before_the_request(world: World) -> None:
    """The intent is there: nobody knows whether the request left, so that a person looks."""
    world.fail("POST", f"{BASE}/works", Killed())
    world.replies["POST", f"{BASE}/works"].reverse()
    with pytest.raises(Killed):
        world.submit(idempotency_key="k")
    world.lose()
    assert world.recover() == {"a": ("receipt", "taken", "unconfirmed")}
    assert [each.job_id for each in world.ledger.unconfirmed.doubtful(ACCOUNT)] == ["a"]
    bought_no_more(world)


def test_a_crash_before_the_answer_is_read(world: World) -> None:
    """The provider has it, the bucket has no id: it is in doubt, and never bought again."""
    world.receipts.accepted = died  # type: ignore[method-assign]  # the process dies there
    with pytest.raises(Killed):
        world.submit(idempotency_key="k")
    world.lose()
    assert world.recover() == {"a": ("receipt", "taken", "unconfirmed")}
    bought_no_more(world)


def test_a_crash_before_the_answer_is_recorded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The id is in the bucket, and was never in the ledger: the job is polled."""
    monkeypatch.setattr(type(world.ledger.submits), "submitted", died)
    with pytest.raises(Killed):
        world.submit(idempotency_key="k")
    monkeypatch.undo()
    world.lose()
    assert world.recover() == {"a": ("receipt", "taken", "running")}
    assert world.record().text("pid") == "7"
    bought_no_more(world)
    goes_home(world)


def test_a_running_job_goes_on(world: World) -> None:
    """As the same job, with what its adapter kept; its caller's message is kept, too."""
    world.submit(idempotency_key="k", tenant="ada")
    world.lose()
    assert world.recover() == {"a": ("receipt", "taken", "running")}
    record = world.record()
    assert (record.text("pid"), record.text("tenant"), record.request.params) == ("7", "ada", {"motif": "a red fox"})
    assert record.ticket.handle == {"status_url": STATUS, "cancel_url": ACCEPTED["cancel_url"]}
    assert world.ledger.jobs.copy_of(record).signature == "s"
    bought_no_more(world)
    goes_home(world)


def test_a_lost_answer_is_in_doubt(world: World) -> None:
    """It was on the list before, and is again; attaching its id brings it home."""
    world.fail("POST", f"{BASE}/works", SubmissionUnknownError("no answer"))
    world.replies["POST", f"{BASE}/works"].reverse()
    world.submit()
    assert world.state() == JobState.UNCONFIRMED
    world.lose()
    assert world.recover() == {"a": ("receipt", "taken", "unconfirmed")}
    assert world.ledger.unconfirmed.attach(ACCOUNT, "a", "7")[0]
    goes_home(world)


def test_a_refused_submit_leaves_no_doubt(world: World) -> None:
    """The provider has surely not got it: there is nothing to take up."""
    world.replies.clear()
    world.reply("POST", f"{BASE}/works", {}, status=503)
    world.submit()
    world.lose()
    assert world.recover() == {"a": ("receipt", "not_bought", "")}


def test_a_failed_job_stays_failed(world: World) -> None:
    """Its caller hears the same again, and a message of its id buys nothing."""
    world.submit()
    failure = Failure(code=FailureCode.GENERATION_FAILED, message="no fox", job_id="a", provider="atelier")
    world.receipts.ended(ACCOUNT, failure)
    world.lose()
    assert world.recover() == {"a": ("receipt", "taken", "failed")}
    assert world.record().failure.message == "no fox"
    bought_no_more(world)


def test_a_stored_job_is_found(world: World) -> None:
    """Its `job.json` stands: the record is finished, and its caller's message brings the result."""
    world.submit(idempotency_key="k")
    store_result(world)
    world.lose()
    assert world.recover() == {"a": ("result", "taken", "succeeded")}
    step = world.ledger.jobs.step("a", ACCOUNT, token="t9")
    assert step.verb is Verb.ANSWER
    assert json.loads(step.record.text("result"))["provider_job_id"] == "7" if step.record else False
    bought_no_more(world)


def test_a_stored_job_without_a_receipt_is_found(world: World) -> None:
    """Receipts were off: its `job.json` says enough for its caller, and for its idempotency key."""
    record = store_result(world, job_id="b", receipts=False)
    world.lose()
    assert world.recover() == {"b": ("result", "taken", "succeeded")}
    again = world.ledger.jobs.open("c", record.asked, deadline_seconds=60)
    assert (again.verb, again.other) == (Verb.FOLLOW, "b")


def test_a_result_that_has_expired(world: World) -> None:
    """A rule of the store has removed its objects: it is not polled, nor bought, nor called back again."""
    own = {"BIDE_S3__BUCKET": "results", "BIDE_PROVIDERS__ATELIER__API_KEY": KEY, "BIDE_CALLBACKS__SECRET": "s" * 32}
    world.settings = load(own, env_file=None)
    world.submit(idempotency_key="k", callback_url="https://caller.example/done")
    answer_both(world)
    world.lose()
    assert world.recover() == {"a": ("receipt", "taken", "succeeded")}
    assert world.server.keys(f"bide:{{{ACCOUNT}}}:due") == world.server.keys("bide:*callbacks*") == []
    bought_no_more(world)
    result = JobResult.model_validate_json(world.record().text("result"))
    assert (result.provider_job_id, result.outputs) == ("7", ())
    assert "its objects are gone" in result.warnings[0]
    assert world.recover() == {"a": ("receipt", "known", "succeeded")}


def test_an_erased_job_does_not_come_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither from its receipts, nor from its result; on a ledger that still has its small record it is known."""
    monkeypatch.setattr(ObservedRedis, "_compare", lambda *_: None)  # an erasure writes a record of its own
    world.submit(idempotency_key="k")
    store_result(world)
    writer: Any = world.receipts
    writer.succeeded(ACCOUNT, "a", created=world.record().text("created"))
    writer.stop()
    kept = list(world.bucket.client.objects.items())
    world.server.hset(f"bide:{{{ACCOUNT}}}:job:a", mapping={"state": "succeeded", "answered": "1", "result": "{}"})
    world.server.zrem(f"bide:{{{ACCOUNT}}}:due", "a")
    results: Any = fakeredis.FakeRedis(decode_responses=True)
    Eraser(world.ledger, world.storage, results, Wanted(frozenset({"a"}))).run()
    assert world.bucket.receipts == []
    left = dict(world.bucket.client.objects)
    world.bucket.client.objects.update(kept)
    assert {what for _, what, _ in world.recover().values()} == {"known"}
    assert world.record().text("elsewhere") == ""
    world.bucket.client.objects = left
    world.start_writer()
    world.lose()
    assert world.recover() == {}


def test_it_may_run_again(world: World) -> None:
    """Twice, or killed in the middle and run again: the same end."""
    for name in "abc":
        world.replies["POST", f"{BASE}/works"].clear()
        world.reply("POST", f"{BASE}/works", {"id": name})
        world.submit(name)
    world.lose()
    tools: Any = world
    since = datetime.fromtimestamp(world.clock.now, UTC) - timedelta(days=1)
    next(iter(Recoverer(tools, since=since).run()))  # and no further
    first = world.recover()
    assert sorted(what for _, what, _ in first.values()) == ["known", "taken", "taken"]
    before = {key: world.server.hgetall(key) for key in world.server.keys("bide:{*}:job:*")}
    assert {what for _, what, _ in world.recover().values()} == {"known"}
    assert {key: world.server.hgetall(key) for key in world.server.keys("bide:{*}:job:*")} == before


def test_a_dry_run_writes_nothing(world: World) -> None:
    """It says what would be taken up."""
    world.submit()
    world.lose()
    assert world.recover(dry=True) == {"a": ("receipt", "taken", "running")}
    assert world.server.keys("bide:*") == []


def test_a_message_that_came_before_the_recovery(world: World) -> None:
    """A broker of its own redelivers: the job is in line on the empty ledger, and was bought on the lost one."""
    world.submit()
    world.lose()
    world.ledger.jobs.open("a", asked(), deadline_seconds=900)
    assert world.state() == JobState.QUEUED
    assert world.recover() == {"a": ("receipt", "taken", "running")}
    assert world.server.zcard(f"bide:{{{ACCOUNT}}}:queued") == 0
    goes_home(world)


def test_a_caller_that_came_again_follows(world: World) -> None:
    """With another id and the same idempotency key: nothing is bought for it."""
    world.submit(idempotency_key="k")
    world.lose()
    world.ledger.jobs.open("z", asked(idempotency_key="k"), deadline_seconds=900)
    assert world.recover() == {"a": ("receipt", "taken", "running")}
    step = world.ledger.jobs.step("z", ACCOUNT, token="t9")
    assert (step.verb, step.other) == (Verb.FOLLOW, "a")
