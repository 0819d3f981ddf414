"""What goes with a job to its fallback, and what stays: the ledger's part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bide.contract import Charged
from bide.ledger import Limits, Verb
from bide.ledger.keys import prefix
from bide.ledger.records import Concluded
from tests.contract.ledger_stage import Crew
from tests.unit.fallback_world import ACCOUNTS, FIRST, SECOND, THIRD, World


@pytest.fixture
def world() -> Iterator[World]:
    """A new one, which is whole afterwards."""
    stage = World()
    yield stage
    stage.check()


def test_followers_go_with_it(world: World) -> None:
    """One purchase, one result for all callers; the key leads to where the job is, also one that comes later."""
    submit = world.submit(world.ask("a", idempotency_key="k"))
    assert world.ask("b", idempotency_key="k").verb is Verb.FOLLOW
    world.fail(submit)
    late = world.ask("c", idempotency_key="k")
    assert (late.verb, late.other, late.account) == (Verb.FOLLOW, "a", SECOND)
    known = world.ledger.jobs.open("d", world.record().asked, deadline_seconds=60)
    assert (known.verb, known.other) == (Verb.FOLLOW, "a")
    crew = Crew(world.ledger, world.clock)
    for _ in range(30):
        world.clock.advance(8)
        crew.sweep()
        crew.work()
    assert crew.answers == {"a": "succeeded", "b": "succeeded", "c": "succeeded"}
    assert world.where() == SECOND


def test_another_request_under_its_id_is_refused(world: World) -> None:
    """An id belongs to one job, wherever that is; the same request finds it there."""
    world.fail(world.submit(world.ask()))
    assert world.ask(metadata={"other": 1}).verb is Verb.CONFLICT
    again = world.ask()
    assert (again.verb, again.account) == (Verb.SUBMIT, SECOND)


def test_messages_for_the_account_before_lead_nowhere_else(world: World) -> None:
    """They find no record there: a worker looks for the job, and finds it at its new account."""
    world.fail(world.submit(world.ask()))
    assert world.resume_at(FIRST).verb is Verb.MISSING
    found = world.ledger.jobs.find("a")
    assert found is not None
    assert found.account == SECOND


def test_late_answers_of_the_account_before(world: World) -> None:
    """A refusal changes nothing. An acceptance is a provider's lie: it is noted where the job is, and known as ours."""
    record, token, attempt = submit = world.submit(world.ask())
    world.fail(submit)
    assert world.fail(submit) is Concluded.NOT_OURS
    assert not world.ledger.submits.refused(record, token, attempt=attempt, reason="busy", after_seconds=None).hints
    world.fail(world.submit(world.resume_at(SECOND)))
    late = world.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p-1")
    assert late.bought_after_leaving
    assert (world.where(), world.record().text("elsewhere")) == (THIRD, "photogpt/default as p-1")
    assert world.ledger.unconfirmed.holders(FIRST, ["p-1"]) == {"p-1": "a"}
    again = world.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p-1")
    assert not again.bought_after_leaving


def test_an_id_of_the_account_before_is_still_known(world: World) -> None:
    """It is no candidate for another job's doubt."""
    world.accept(world.submit(world.ask()))
    world.fail_there(FIRST, charged=Charged.NO)
    assert world.ledger.unconfirmed.holders(FIRST, ["p-default-a"]) == {"p-default-a": "a"}


def test_what_was_done_is_kept_for_people(world: World) -> None:
    """The record as it was, for as long as any; nothing of a request."""
    world.accept(world.submit(world.ask()))
    world.fail_there(FIRST, charged=Charged.NO)
    left: Any = world.server.hgetall(f"{prefix(FIRST)}left:a")
    assert (left["state"], left["pid"], left["moved_to"]) == ("failed", "p-default-a", "photogpt/second")
    assert world.server.ttl(f"{prefix(FIRST)}left:a") > 0
    assert world.server.exists(f"{prefix(FIRST)}body:a") == 0


def test_a_lost_message_is_sent_again(world: World) -> None:
    """The worker that had it go on died before it could send one."""
    world.fail(world.submit(world.ask()))
    world.sweep(60)
    messages = [hint for account in ACCOUNTS for hint in world.ledger.accounts.sweep(account)[0].hints]
    assert [hint.account for hint in messages] in ([], [SECOND])
    assert world.record().number("hints") >= 1


def test_places_are_given_back(world: World) -> None:
    """The account has room for another at once."""
    world.limits[FIRST] = Limits(max_in_flight=1)
    submit = world.submit(world.ask("a"))
    assert world.ask("b").verb is Verb.WAIT
    world.fail(submit)
    assert [hint.job_id for hint in world.ledger.accounts.admit(FIRST).hints] == ["b"]
