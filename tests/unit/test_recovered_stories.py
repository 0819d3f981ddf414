"""The stories of a job: what was bought of it first, what came later, and what its callers know."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest

from bide.contract import Failure, FailureCode, JobResult
from bide.errors import SubmissionUnknownError
from bide.ledger import Verb
from bide.ledger.keys import prefix
from bide.ledger.unconfirmed import purchase_warnings
from bide.purchases import result_key
from bide.statements import Statements
from config.settings import load
from tests.unit.atelier import ACCOUNT, BASE, KEY
from tests.unit.recovered_world import SECOND, TAKEN, TwoAccounts, late, two_accounts


@pytest.fixture
def world() -> Iterator[TwoAccounts]:
    """A deployment in memory with two accounts; it is whole afterwards."""
    with two_accounts() as world:
        yield world
        world.check()


@pytest.fixture
def by_the_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoAccounts]:
    """As above; receipts are made by the ledger's clock, at noon, and statements may be written."""
    with two_accounts() as world:
        world.clock.now = datetime.fromtimestamp(world.clock.now, UTC).replace(hour=12).timestamp()
        clock = SimpleNamespace(time=world.clock, monotonic=time.monotonic)
        monkeypatch.setattr("workers.services.receipt_writer.time", clock)
        yield world


def fail_at_first(world: TwoAccounts, pid: str = "7", charged: str = "no") -> None:
    """The first account accepts the job, and it fails there: it is in line at its fallback."""
    world.answer({"id": pid})
    world.ask()
    for url in (f"{BASE}/works/{quote(pid, safe='')}", f"https://jobs.atelier.example/{pid}/status"):
        world.reply("GET", url, {"state": "failed", "why": "no", "charged": charged})
    world.poll_at(ACCOUNT)
    assert world.at(SECOND) == "queued"


@pytest.mark.parametrize("pid", ["7", "op/7", 'a"b', "é/7"])
def test_an_id_in_the_words_of_redis(world: TwoAccounts, pid: str) -> None:
    """Redis writes the ids of accounts that a job has left in JSON of its own: the job that failed stays failed."""
    fail_at_first(world, pid)
    world.refuse()
    world.go_on()
    key = f"{prefix(SECOND)}job:a"
    written = str(world.server.hget(key, "tried"))
    world.server.hset(key, "tried", written.replace("/", "\\/"))  # as Redis's cjson has it
    assert world.recover() == {"a": ("receipt", "known", "failed")}


def end(world: TwoAccounts, state: str = "succeeded") -> None:
    """The caller knows how the job has ended."""
    record = world.record()
    result = JobResult(
        job_id="a",
        provider="atelier",
        operation="paint",
        provider_job_id=record.text("pid"),
        polls=1,
        finished_at=datetime.fromtimestamp(world.clock.now, UTC),
        outputs=(),
        metadata={},
    )
    failure = Failure(job_id="a", code=FailureCode.GENERATION_FAILED, message="no")
    if state == "failed":
        world.receipts.ended(ACCOUNT, failure, created=record.text("created"))
    else:
        world.receipts.succeeded(ACCOUNT, "a", created=record.text("created"))
    world.receipts.stop()
    world.start_writer()
    if state == "stored":
        world.storage.put(
            result_key(world.bucket.receipts[0]), result.model_dump_json().encode(), content_type="application/json"
        )


def come_again(world: TwoAccounts, answer: str) -> None:
    """The ledger was lost, and confirmed; the caller sends the job anew."""
    world.lose()
    world.clock.advance(5)
    world.answer({"id": "99"})
    if answer == "lost":
        world.replies["POST", f"{BASE}/works"].clear()
        world.fail("POST", f"{BASE}/works", SubmissionUnknownError("no answer"))
    world.ask()


@pytest.mark.parametrize("ending", ["succeeded", "failed", "stored"])
@pytest.mark.parametrize("answer", ["lost", "accepted"])
def test_a_story_after_one_that_is_over(world: TwoAccounts, ending: str, answer: str) -> None:
    """It goes on, be it bought or in doubt; the first one is over."""
    world.ask()
    end(world, ending)
    come_again(world, answer)
    before = world.at(ACCOUNT)
    world.lose()
    assert world.recover() == {"a": ("receipt", "taken", before)}
    record = world.record()
    assert (record.text("pid"), record.text("elsewhere")) == ("99" if answer == "accepted" else "", "")


def test_a_doubt_behind_a_purchase(world: TwoAccounts) -> None:
    """What was surely bought goes on; that the job may have been bought again is named, with the moment."""
    world.ask()
    come_again(world, "lost")
    begun = datetime.fromtimestamp(world.record().number("intended"), UTC)
    world.lose()
    assert world.recover() == TAKEN
    record = world.record()
    named = f"atelier/default as unknown@{begun:%Y-%m-%dT%H:%M:%SZ}"
    assert (record.text("pid"), record.text("elsewhere")) == ("7", named)
    [warning] = purchase_warnings(record)
    assert warning == f"maybe bought more than once, by {named}: look at the provider for what it began at that moment"


def test_a_doubt_that_the_ledger_has(world: TwoAccounts) -> None:
    """The record of the doubt names what was surely bought before, and not its own submit."""
    world.ask()
    come_again(world, "lost")
    assert world.recover() == {"a": ("receipt", "twice", "unconfirmed")}
    assert world.record().text("elsewhere") == "atelier/default as 7"


def test_a_doubt_that_a_backup_knows_not(world: TwoAccounts) -> None:
    """The ledger goes back to the first story: it names the second one."""
    world.ask()
    backup = world.back_up()
    come_again(world, "lost")
    world.go_back(backup)
    assert world.recover() == {"a": ("receipt", "twice", "running")}
    assert "atelier/default as unknown@" in world.record().text("elsewhere")


def test_callers_who_heard_of_a_doubt(world: TwoAccounts) -> None:
    """It has succeeded since the backup, and its objects are gone: they hear so, and it counts, without a callback."""
    own = {"BIDE_PROVIDERS__ATELIER__API_KEY": KEY, "BIDE_CALLBACKS__SECRET": "s" * 32, "BIDE_S3__BUCKET": "results"}
    world.settings = load(own, env_file=None)
    callback = {"callback_url": "https://hooks.example.com/a"}
    world.replies["POST", f"{BASE}/works"].clear()
    world.fail("POST", f"{BASE}/works", SubmissionUnknownError("no answer"))
    world.ask(idempotency_key="k", tenant="ada", **callback)
    world.ledger.jobs.answered(ACCOUNT, "a")
    assert world.ask("b", idempotency_key="k", tenant="ada", **callback).verb is Verb.FOLLOW
    world.ledger.jobs.answered(ACCOUNT, "b", leader="a", known_state="unconfirmed")
    at, before = prefix(ACCOUNT), world.record()
    assert world.server.hkeys(f"{at}doubters:a") == ["b"]
    world.receipts.succeeded(ACCOUNT, "a", created=before.text("created"))
    world.receipts.stop()
    world.start_writer()
    world.server.zrem(f"{at}callbacks", "a")
    assert world.recover() == {"a": ("receipt", "taken", "succeeded")}
    assert world.server.exists(f"{at}doubters:a") == 0
    assert list(world.ledger.jobs.followers(ACCOUNT, "a")) == ["b"]
    assert world.server.hget(f"{at}metrics", "ended_jobs:succeeded") == "1"
    assert world.server.hget(f"{at}tenant_metrics", "succeeded:ada") == "1"
    assert world.server.zcard(f"{at}callbacks") == 0
    hints = [hint for hint in world.ledger.jobs.answered(ACCOUNT, "a").hints if hint.job_id == "b"]
    assert hints
    step = world.ask("b", idempotency_key="k", tenant="ada", **callback)
    assert (step.verb, step.other) == (Verb.FOLLOW, "a")
    world.server.hdel(f"{at}job:a", "callback")  # its receiver has had it, which the check of the whole does not know


@pytest.mark.parametrize("pid", ["works 7", "a  b c", "op/7 é"])
def test_an_id_with_blanks(world: TwoAccounts, pid: str) -> None:
    """What bide accepts as an id its receipts keep, and so does its result."""
    world.answer({"id": pid})
    world.ask()
    record = world.record()
    assert record.text("pid") == pid
    world.lose()
    assert world.recover() == TAKEN
    assert world.record().text("pid") == pid
    end(world, "stored")
    world.lose()
    assert world.recover() == {"a": ("result", "taken", "succeeded")}
    assert world.record().text("pid") == pid


def test_further_ids_with_blanks(world: TwoAccounts) -> None:
    """Each is one purchase: at its own account, and at one that the job has left; the ledger knows each by its id."""
    world.buy_at_fallback(pid="works 9")
    late(world, SECOND, "works 10")
    late(world, ACCOUNT, "works 7")
    world.lose()
    assert world.recover() == TAKEN
    record = world.ledger.jobs.read(SECOND, "a")
    assert record
    assert (record.text("pid"), record.other_ids) == ("works 10", ["works 9"])
    named = "bought more than once: accepted after it had gone on at its fallback, by atelier/default as works 7"
    assert named in purchase_warnings(record)
    held = {"works 9": "a", "works 10": "a"}
    assert world.ledger.unconfirmed.holders(SECOND, [*held]) == held


@pytest.mark.parametrize("charged", ["yes", "no"])
@pytest.mark.parametrize(
    ("moment", "written"),
    [
        *(("lost", each) for each in ("", "submitting", "running", "moved", "bought")),
        *((each, "") for each in ("submitting", "running", "moved")),
    ],
)
def test_the_account_that_was_left_has_its_purchase(
    by_the_clock: TwoAccounts, charged: str, moment: str, written: str
) -> None:
    """What it charged stands in its book, whenever a statement was written, and whatever a backup had of it."""
    world, backups = by_the_clock, dict[str, Any]()

    def reach(what: str) -> None:
        backups[what] = world.back_up()
        if what == written:
            world.clock.advance(10)
            Statements(world.ledger, world.storage).write()
            world.clock.advance(10)

    world.meanwhile = lambda: reach("submitting")
    world.ask()
    world.meanwhile = None
    reach("running")
    fail_at_first(world, charged=charged)
    reach("moved")
    world.answer({"id": "9"})
    world.go_on()
    reach("bought")
    before = world.booked(ACCOUNT), world.booked(SECOND)
    assert before[0] == ({"spent": 40_000, "purchases": 1} if charged == "yes" else {"purchases": 1})
    if moment == "lost":
        world.lose()
    else:
        world.go_back(backups[moment])
    assert world.recover() == TAKEN
    assert (world.booked(ACCOUNT), world.booked(SECOND)) == before
    assert world.recover()["a"][1] == "known"
    assert (world.booked(ACCOUNT), world.booked(SECOND)) == before
