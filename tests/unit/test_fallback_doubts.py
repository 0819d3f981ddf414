"""A job in doubt takes no fallback: the ledger's part."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bide.contract import Charged, JobState
from bide.ledger import Record, Verb
from bide.ledger.records import Concluded
from bide.ledger.settling import Doubt, Promise
from bide.money.quote import Quote
from tests.contract.ledger_stage import taken
from tests.unit.fallback_world import DEADLINE_SECONDS, FIRST, SECOND, World, error_of


@pytest.fixture
def world() -> Iterator[World]:
    """A new one, which is whole afterwards."""
    stage = World()
    yield stage
    stage.check()


def test_a_doubt_takes_no_fallback(world: World) -> None:
    """Neither when it comes up, nor when an operator gives it up."""
    record, token, _ = world.submit(world.ask())
    world.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=error_of(record, "submission_unknown"))
    assert (world.where(), world.record().text("state")) == (FIRST, "unconfirmed")
    world.sweep(DEADLINE_SECONDS)
    world.ledger.unconfirmed.give_up(FIRST, "a")
    assert (world.where(), world.record().text("state")) == (FIRST, "failed")


def test_a_dead_worker_takes_no_fallback(world: World) -> None:
    """Its submit may have been accepted."""
    world.submit(world.ask())
    for _ in range(10):
        world.sweep(8)
    assert (world.where(), world.record().text("state")) == (FIRST, "unconfirmed")


def test_a_late_refusal_of_a_job_that_its_caller_has_given_up(world: World) -> None:
    """It may have ordered anew."""
    submit = world.submit(world.ask())
    record, token, _ = submit
    world.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=error_of(record, "submission_unknown"))
    world.ledger.jobs.answered(FIRST, "a")
    assert world.fail(submit) is Concluded.ENDED
    assert world.where() == FIRST


def test_a_repeated_submit_takes_none(world: World) -> None:
    """`on_unknown: resubmit`: the first submit may have been accepted, whatever becomes of the second."""
    record, token, _ = world.submit(world.ask(on_unknown="resubmit"))
    world.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=error_of(record, "submission_unknown"))
    world.accept(world.submit(world.resume_at(FIRST)))
    world.fail_there(FIRST, charged=Charged.NO)
    assert (world.where(), world.record().text("state")) == (FIRST, "failed")


PROMISE = Promise(contract="client_id", key="k", digest="d", live_seconds=3600, sending_seconds=60)


def test_a_doubt_that_is_settled_as_not_accepted_may_go_on(world: World) -> None:
    """Not while it is being settled; once the provider surely has no job of that key, and refuses it then."""
    record, token, _ = world.submit(world.ask(), promise=PROMISE)
    error = error_of(record, "submission_unknown")
    assert (
        world.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=error, doubt=Doubt(5.0))
        is Concluded.SETTLING
    )
    world.sweep(10)
    assert world.where() == FIRST
    step = world.resume_at(FIRST)
    record = taken(step, Verb.SUBMIT)
    token = record.text("token")
    attempt = world.ledger.submits.intend(record, token, promise=PROMISE, absent="looked up: not there")
    assert world.fail((record, token, attempt)) is Concluded.MOVED
    assert world.where() == SECOND


def test_a_refused_repeat_under_the_key_settles_nothing(world: World) -> None:
    """The first request may have been accepted all the same."""
    promise = Promise(contract="replay", key="k", digest="d", live_seconds=3600, sending_seconds=60)
    record, token, _ = world.submit(world.ask(), promise=promise)
    error = error_of(record, "submission_unknown")
    world.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=error, doubt=Doubt(5.0))
    world.sweep(10)
    assert world.fail(world.submit(world.resume_at(FIRST), promise=promise)) is Concluded.UNCONFIRMED
    assert world.where() == FIRST


LISTED = Promise(contract="listing", digest="d", live_seconds=3600, sending_seconds=60)


def doubtful(world: World, promise: Promise) -> Record:
    """A job whose one submit may have been accepted, and is being settled by a worker."""
    record, token, _ = world.submit(world.ask(), promise=promise)
    error = error_of(record, "submission_unknown")
    world.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=error, doubt=Doubt(5.0))
    world.sweep(10)
    return taken(world.resume_at(FIRST), Verb.SUBMIT)


@pytest.mark.parametrize("by", ["the list", "an operator"])
@pytest.mark.parametrize(("charged", "goes_on"), [(Charged.NO, True), (Charged.YES, False), (None, False)])
@pytest.mark.parametrize("promise", [LISTED, PROMISE], ids=["listing", "client_id"])
def test_a_failure_under_an_id_that_was_found(
    world: World, promise: Promise, by: str, charged: Charged | None, goes_on: bool
) -> None:
    """The provider knows the one submit that was in doubt: what it says of the charge counts as that of any job."""
    record = doubtful(world, promise)
    if by == "the list":
        token = record.text("token")
        world.ledger.unconfirmed.attach_listed(record, "p-1", evidence="the only one that fits", token=token)
    else:
        world.ledger.unconfirmed.attach(FIRST, "a", "p-1")
    world.fail_there(FIRST, charged=charged)
    assert world.where() == (SECOND if goes_on else FIRST)


def test_an_id_that_was_found_says_nothing_of_a_second_submit(world: World) -> None:
    """Two submits under the key may have been accepted, where its provider breaks its word."""
    promise = Promise(contract="replay", key="k", digest="d", live_seconds=3600, sending_seconds=60)
    record = doubtful(world, promise)
    token = record.text("token")
    world.ledger.submits.intend(record, token, promise=promise, quote=Quote(40_000, "USD"))
    error = error_of(record, "submission_unknown")
    world.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=error, doubt=Doubt(5.0))
    world.ledger.unconfirmed.attach(FIRST, "a", "p-1")
    world.fail_there(FIRST, charged=Charged.NO)
    assert (world.where(), world.record().text("state")) == (FIRST, "failed")
