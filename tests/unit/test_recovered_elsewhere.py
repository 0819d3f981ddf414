"""A job was bought, and the ledger has it elsewhere, or otherwise: it is taken up, and not bought again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bide.contract import GenerateRequest
from bide.ledger import Verb
from bide.ledger.keys import prefix
from bide.receipts import Accepted
from tests.unit.atelier import ACCOUNT, BASE, Killed
from tests.unit.recovered_world import (
    SECOND,
    TAKEN,
    TwoAccounts,
    be_accepted,
    be_put_off,
    kill_a_submit,
    lose_an_answer,
    settle,
    two_accounts,
    wait_in_line,
)


@pytest.fixture
def world() -> Iterator[TwoAccounts]:
    """A deployment in memory with two accounts; it is whole afterwards."""
    with two_accounts() as world:
        yield world
        world.check()


def test_the_caller_came_again_before_the_recovery(world: TwoAccounts) -> None:
    """It stands in line at its first account: it leaves that, and is polled where it was bought."""
    world.buy_at_fallback(tenant="ada", idempotency_key="k")
    world.lose()
    world.places = 0
    world.ask(tenant="ada", idempotency_key="k")
    assert (world.at(ACCOUNT), world.in_line()) == ("queued", ["a"])
    bought = world.purchases()
    assert world.recover() == TAKEN
    assert (world.at(ACCOUNT), world.in_line(), world.at(SECOND)) == ("", [], "running")
    world.places = 100
    assert world.ask(tenant="ada", idempotency_key="k").verb is Verb.STALE
    assert world.ask("b", tenant="ada", idempotency_key="k").verb is Verb.FOLLOW
    world.sweep()
    assert world.purchases() == bought
    assert world.booked(SECOND) == {"spent": 40_000, "purchases": 1}


def test_the_caller_comes_again_after_the_recovery(world: TwoAccounts) -> None:
    """Its message finds the job at the account that has it."""
    world.buy_at_fallback()
    world.lose()
    bought = world.purchases()
    assert world.recover() == TAKEN
    assert world.ask().verb is Verb.STALE
    assert (world.purchases(), world.at(ACCOUNT)) == (bought, "")


@pytest.mark.parametrize("begin", [kill_a_submit, lose_an_answer, wait_in_line, be_accepted, be_put_off])
def test_an_old_backup(world: TwoAccounts, begin: Any) -> None:
    """The backup has the job at its first account, as it stood; since then its fallback has made it."""
    begin(world)
    backup = world.back_up()
    settle(world)
    assert world.at(SECOND) == "queued", world.at(ACCOUNT)
    world.answer({"id": "9"})
    world.go_on()
    world.go_back(backup)
    bought = world.purchases()
    assert world.at(ACCOUNT)
    assert world.recover() == TAKEN
    assert (world.at(ACCOUNT), world.at(SECOND)) == ("", "running")
    world.sweep()
    world.ledger.accounts.sweep(SECOND)
    assert world.purchases() == bought
    assert world.booked(SECOND) == {"spent": 40_000, "purchases": 1}
    assert not world.booked(ACCOUNT).get("reserved")


@pytest.mark.parametrize("begin", [kill_a_submit, lose_an_answer])
def test_a_submit_that_was_under_way_at_the_backup(world: TwoAccounts, begin: Any) -> None:
    """The receipt says which id it got: nobody has to look for it."""
    begin(world)
    backup = world.back_up()
    intent = world.bucket.receipts[0]
    known = Accepted(
        ledger=intent.ledger, job_id="a", account=str(ACCOUNT), attempt=1, at=intent.at + 1, provider_job_id="7"
    )
    writer: Any = world.receipts
    writer._add(known)
    world.go_back(backup)
    world.sweep()
    assert world.at(ACCOUNT) == "unconfirmed"
    assert world.recover() == TAKEN
    assert world.booked(ACCOUNT) == {"spent": 40_000, "purchases": 1}
    assert world.ledger.unconfirmed.doubtful(ACCOUNT) == []


def test_the_deadline_passed_before_the_recovery(world: TwoAccounts) -> None:
    """An old backup had the job in line, and its sweeper has failed it since: it was bought all the same."""
    wait_in_line(world)
    backup = world.back_up()
    world.places = 100
    world.clock.advance(60)
    world.answer({"id": "7"})
    world.go_on(ACCOUNT)
    world.go_back(backup)
    world.server.hdel(f"{prefix(ACCOUNT)}job:a", "fallbacks")
    world.clock.advance(1200)
    world.sweep(seconds=20)
    assert world.at(ACCOUNT) == "failed"
    assert world.recover() == TAKEN


def test_another_caller_has_the_key_elsewhere(world: TwoAccounts) -> None:
    """It stands in line at the first account, and another one follows it: both follow what was bought."""
    world.buy_at_fallback(idempotency_key="k")
    world.lose()
    world.places = 0
    world.ask("z", idempotency_key="k")
    world.ask("y", idempotency_key="k")
    assert (world.at(ACCOUNT, "z"), world.at(ACCOUNT, "y")) == ("queued", "following")
    assert world.recover() == TAKEN
    world.places = 100
    assert (world.at(SECOND, "z"), world.at(SECOND, "y"), world.in_line()) == ("following", "following", [])
    for caller in "zy":
        step = world.ask(caller, idempotency_key="k")
        assert (step.verb, step.other) == (Verb.FOLLOW, "a")
    assert set(world.ledger.jobs.followers(SECOND, "a")) == {"y", "z"}


def test_the_job_follows_another_caller(world: TwoAccounts) -> None:
    """Both came again, the other one first: the job that was bought leads."""
    world.answer({"id": "7"})
    world.ask(idempotency_key="k")
    world.lose()
    world.places = 0
    for caller in "zya":
        world.ask(caller, idempotency_key="k")
    assert world.at(ACCOUNT) == "following"
    assert world.recover() == TAKEN
    assert [world.at(ACCOUNT, caller) for caller in "zy"] == ["following", "following"]
    assert set(world.ledger.jobs.followers(ACCOUNT, "a")) == {"y", "z"}
    assert world.in_line() == []


def test_it_was_bought_again_meanwhile(world: TwoAccounts) -> None:
    """The ledger was confirmed too early: both purchases are named, and the second one goes on."""
    world.buy_at_fallback()
    world.lose()
    world.answer({"id": "7"})
    world.ask()
    assert world.at(ACCOUNT) == "running"
    known = world.recover()
    assert known == {"a": ("receipt", "twice", "running")}
    record = world.ledger.jobs.read(ACCOUNT, "a")
    assert record
    assert (record.text("pid"), record.text("elsewhere")) == ("7", "atelier/second as 9")


def test_it_is_in_line_again_after_a_refusal(world: TwoAccounts) -> None:
    """The ledger was confirmed too early, and the provider was busy: what was bought before counts."""
    world.answer({"id": "7"})
    world.ask()
    world.lose()
    be_put_off(world)
    assert world.at(ACCOUNT) == "queued"
    assert world.recover() == TAKEN
    record = world.ledger.jobs.read(ACCOUNT, "a")
    assert record
    assert record.text("pid") == "7"


def test_a_job_that_failed_where_it_was_bought_is_named_no_further(world: TwoAccounts) -> None:
    """It has left that purchase behind."""
    be_accepted(world)
    settle(world)
    world.answer({"id": "9"})
    world.go_on()
    world.lose()
    assert world.recover() == TAKEN
    record = world.ledger.jobs.read(SECOND, "a")
    assert record
    assert record.text("elsewhere") == ""


def test_a_ledger_that_is_well_stays_as_it_is(world: TwoAccounts) -> None:
    """At its fallback, in line after a refusal, and in line there after a purchase that came to nothing."""
    world.buy_at_fallback("a")
    world.answer({}, status=503)
    world.ask("b")
    world.clock.advance(120)
    world.answer({"id": "7"})
    world.ask("c")
    world.reply("GET", f"{BASE}/works/7", {"state": "failed", "why": "no", "charged": "no"})
    world.reply("GET", f"{BASE}/works/9", {"state": "at work"})
    world.poll()
    assert world.at(SECOND, "c") == "queued"
    writer: Any = world.receipts
    writer.stop()
    world.start_writer()
    found = world.recover()
    assert found["a"] == ("receipt", "known", "running")
    assert found["b"][1] in ("not_bought", "known")
    assert found["c"] == ("receipt", "known", "queued")


def test_a_failure_that_knows_the_submit_stays(world: TwoAccounts) -> None:
    """The provider refused it for good, and its end has no receipt yet: on a ledger that is well nothing changes."""
    world.refuse()
    world.ask(fallbacks=[])
    assert world.at(ACCOUNT) == "failed"
    world.receipts.stop()
    for key, content in world.bucket.client.objects.items():
        receipts = [each for each in json.loads(content)["receipts"] if each["kind"] == "intent"]
        world.bucket.client.objects[key] = json.dumps({"version": 1, "receipts": receipts}).encode()
    world.start_writer()
    assert world.recover() == {"a": ("receipt", "known", "failed")}


def test_the_id_belongs_to_another_job(world: TwoAccounts) -> None:
    """It was adopted under another id: the job stays in line where it is, and is named."""
    world.buy_at_fallback()
    world.lose()
    world.places = 0
    world.ask()
    world.answer({"id": "9"})
    world.places = 100
    request = GenerateRequest(**SECOND._asdict(), operation="paint", params={"motif": "a red fox"})
    world._step(SECOND, "adopted", request=request, deadline_seconds=900.0)
    found = world.recover()
    assert found["a"] == ("receipt", "held", "")
    world.bucket.client.objects.clear()


def test_a_dry_run_says_what_would_be(world: TwoAccounts) -> None:
    """Also of a job that stands in line elsewhere; nothing is written."""
    world.buy_at_fallback()
    world.lose()
    world.places = 0
    world.ask()
    before = world.content()
    assert world.recover(dry=True) == TAKEN
    assert world.content() == before
    world.recover()


def test_a_recovery_that_dies_in_between(world: TwoAccounts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job has left its line, and has no record yet: the next run writes it."""
    world.buy_at_fallback()
    world.lose()
    world.places = 0
    world.ask()
    recovery: Any = type(world.ledger.recovery)
    displace = recovery._displace

    def die(*given: Any, **how: Any) -> None:
        displace(*given, **how)
        raise Killed

    monkeypatch.setattr(recovery, "_displace", die)
    with pytest.raises(Killed):
        world.recover()
    monkeypatch.undo()
    assert (world.in_line(), world.at(SECOND)) == ([], "")
    assert world.recover() == TAKEN
