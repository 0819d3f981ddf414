"""When a job goes on at its fallback: the ledger's part."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.contract import Charged, JobState
from bide.ledger import AccountName, Limits, Verb
from bide.ledger.keys import prefix
from bide.ledger.records import Concluded
from bide.money.book import Sums
from tests.contract.ledger_stage import taken
from tests.unit.fallback_world import ACCOUNTS, DEADLINE_SECONDS, FIRST, SECOND, THIRD, World, error_of, fallback


@pytest.fixture
def world() -> Iterator[World]:
    """A new one, which is whole afterwards."""
    stage = World()
    yield stage
    stage.check()


# When it goes on

#: Failures of a submit that was surely not accepted, and whether the job goes on.
REFUSALS = {
    "rejected": True,
    "unauthorized": True,
    "moderated": True,
    "invalid_request": True,
    "protocol": True,
    "deadline": False,
    "crashed": False,
    "storage": False,
    "submission_unknown": False,
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refused_submit(world: World, code: str) -> None:
    """What the account surely did not take goes on; what another one can't change ends here."""
    concluded = world.fail(world.submit(world.ask()), code)
    assert (concluded is Concluded.MOVED) == REFUSALS[code]
    assert world.where() == (SECOND if REFUSALS[code] else FIRST)
    assert world.record().text("state") == ("queued" if REFUSALS[code] else "failed")


@pytest.mark.parametrize("charged", [Charged.YES, Charged.UNKNOWN])
def test_a_refused_submit_that_was_charged_for(world: World, charged: Charged) -> None:
    """Or may have been, as the provider says."""
    assert world.fail(world.submit(world.ask()), charged=charged) is Concluded.ENDED
    assert world.where() == FIRST


#: A failure of a bought job: what the provider says of the charge, whether its operation is free, whether the fallback
#: is tried after a charge; and whether the job goes on.
CHARGES = [
    (Charged.NO, False, False, True),
    (Charged.YES, False, False, False),
    (Charged.UNKNOWN, False, False, False),
    (None, False, False, False),
    (None, True, False, True),
    (Charged.UNKNOWN, True, False, True),
    (Charged.YES, True, False, False),
    (Charged.YES, False, True, True),
    (None, False, True, True),
]


@pytest.mark.parametrize(("charged", "free", "after_charge", "goes_on"), CHARGES)
@pytest.mark.parametrize("code", ["generation_failed", "lost"])
def test_a_failure_at_the_provider(
    world: World, code: str, charged: Charged | None, free: bool, after_charge: bool, goes_on: bool
) -> None:
    """An unknown charge counts as one."""
    world.accept(world.submit(world.ask(to=(fallback(SECOND, after_charge=after_charge),)), free=free))
    messages = world.fail_there(FIRST, code=code, charged=charged)
    assert [hint.account for hint in messages.hints] == [SECOND if goes_on else FIRST]
    assert world.where() == (SECOND if goes_on else FIRST)


def test_an_overdue_job_ends(world: World) -> None:
    """Its time is over for all accounts."""
    world.accept(world.submit(world.ask()))
    world.fail_there(FIRST, code="deadline", charged=Charged.NO)
    assert (world.where(), world.record().failure.code) == (FIRST, "deadline")


def test_a_result_that_can_not_be_had(world: World) -> None:
    """It was paid for: the job goes on after a charge only; what was refused of it stays at its account."""
    record, token, attempt = world.submit(world.ask(to=(fallback(SECOND, after_charge=True),)))
    world.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p", outputs="[]")
    step = world.resume_at(FIRST)
    record = taken(step, Verb.STORE)
    concluded = world.ledger.jobs.conclude(
        record,
        record.text("token"),
        JobState.FAILED,
        error=error_of(record, "bad_media"),
        outputs='[["image","https://x"]]',
    )
    assert (concluded, world.where()) == (Concluded.MOVED, SECOND)
    assert world.server.hget(f"{prefix(FIRST)}left:a", "outputs") == '[["image","https://x"]]'


def test_a_charge_on_the_way_counts_for_all_that_follow(world: World) -> None:
    """The third account is not tried, although the second one charged nothing: the first did."""
    world.accept(world.submit(world.ask(to=(fallback(SECOND, after_charge=True), fallback(THIRD)))))
    world.fail_there(FIRST, charged=Charged.YES)
    world.accept(world.submit(world.resume_at(SECOND)))
    world.fail_there(SECOND, charged=Charged.NO)
    failure = world.record().failure
    assert world.where() == SECOND
    assert [(each.account, each.code) for each in failure.tried] == [
        ("default", "generation_failed"),
        ("second", "generation_failed"),
    ]


def test_it_goes_through_all_accounts(world: World) -> None:
    """The record has its id, its age and its deadline, and nothing of the account before; then it has failed."""
    world.fail(world.submit(world.ask(callback_url="https://example.com/hook")))
    before = world.record()
    world.clock.advance(7)
    world.fail(world.submit(world.resume_at(SECOND)))
    record = world.record()
    assert (world.where(), record.text("op"), record.request.params) == (THIRD, "images.edits", {"modelID": "third"})
    assert record.request.fallbacks == ()
    assert {name: record.text(name) for name in ("created", "deadline", "allowed", "fp")} == {
        name: before.text(name) for name in ("created", "deadline", "allowed", "fp")
    }
    assert record.text("submits") == ""
    assert [world.moved(account) for account in ACCOUNTS] == [{"rejected": 1}, {"rejected": 1}, {}]
    assert [(each.account, each.operation, each.code) for each in record.tried] == [
        ("default", "images.generation", "rejected"),
        ("second", "images.edits", "rejected"),
    ]
    assert world.fail(world.submit(world.resume_at(THIRD))) is Concluded.ENDED
    assert [each.account for each in world.record().failure.tried] == ["default", "second", "third"]
    assert world.record().text("callback") == "1"


# In line


def test_a_paused_account_is_left_at_once(world: World) -> None:
    """By a job in line with the sweeper, and by one that comes later."""
    world.limits[FIRST] = Limits(max_in_flight=1)
    world.submit(world.ask("first", to=()))
    assert world.ask("a").verb is Verb.WAIT
    world.ledger.accounts.pause(FIRST, reason="no credit", by="bide")
    world.sweep()
    assert world.where("a") == SECOND
    step = world.ask("b")
    assert (step.verb, step.account, taken(step, Verb.SUBMIT).request.params["modelID"]) == (
        Verb.SUBMIT,
        SECOND,
        "second",
    )
    assert world.record("b").tried[0].code == "not_submitted"
    assert world.moved(FIRST)["not_submitted"] >= 1
    assert "no credit" in world.record("b").tried[0].message


@pytest.mark.parametrize("failures", [1, 2])
def test_a_provider_that_is_down_is_left_once_that_is_sure(world: World, failures: int) -> None:
    """One refusal that passes is none: the account's breaker is open for a second, and one job finds out."""
    for _ in range(failures):
        record, token, attempt = world.submit(world.ask())
        world.ledger.submits.refused(record, token, attempt=attempt, reason="connection refused", after_seconds=None)
        world.clock.advance(1.01)
        world.ledger.accounts.admit(FIRST)
    assert world.where() == (SECOND if failures == 2 else FIRST)
    later = world.ask("b")
    assert (later.account or FIRST) == (SECOND if failures == 2 else FIRST)


def test_a_breaker_that_stays_open_is_not_waited_for(world: World) -> None:
    """A provider that wants to be left alone for half a minute."""
    record, token, attempt = world.submit(world.ask())
    messages = world.ledger.submits.refused(record, token, attempt=attempt, reason="HTTP 429", after_seconds=30)
    assert ([hint.account for hint in messages.hints], world.where()) == ([SECOND], SECOND)


def test_each_account_has_its_share_of_the_deadline(world: World) -> None:
    """A third of the time for the first of three, half of the rest for the second; the last has all that is left."""
    for account in ACCOUNTS:
        world.limits[account] = Limits(max_in_flight=0)
    world.ask()
    for share, account in ((DEADLINE_SECONDS / 3, SECOND), (DEADLINE_SECONDS / 3, THIRD)):
        before = world.where()
        world.sweep(share - 1)
        assert world.where() == before
        world.sweep(2)
        assert world.where() == account
        world.resume_at(account)  # its message lines it up
    world.sweep(DEADLINE_SECONDS / 3 - 10)
    assert (world.where(), world.record().text("state")) == (THIRD, "queued")
    world.sweep(20)
    assert world.record().failure.code == "deadline"
    assert [each.code for each in world.record().failure.tried] == ["not_submitted", "not_submitted", "deadline"]


def test_a_bought_job_keeps_all_its_time(world: World) -> None:
    """The share counts in line alone."""
    world.accept(world.submit(world.ask()))
    world.sweep(DEADLINE_SECONDS - 5)
    assert (world.where(), world.record().text("state")) == (FIRST, "running")


# Cancels


@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_a_canceled_job_takes_none(world: World, when: str) -> None:
    """Before its submit, during it, and after it has gone on."""
    step = world.ask()
    submit = world.submit(step) if when != "before" else None
    if when == "after":
        assert submit
        world.fail(submit)
    world.ledger.jobs.cancel(world.where(), "a", at_provider=when == "during")
    if when == "during":
        assert submit
        assert world.fail(submit) is Concluded.CANCELED
    assert world.where() == (SECOND if when == "after" else FIRST)
    assert world.record().text("state") == "canceled"


def test_a_cancel_that_comes_while_its_provider_fails_it(world: World) -> None:
    """The poll was under way already, and says nothing of a cancel."""
    world.accept(world.submit(world.ask()))
    world.ledger.jobs.cancel(FIRST, "a", at_provider=True)
    world.fail_there(FIRST, charged=Charged.NO)
    assert (world.where(), world.record().state.final) == (FIRST, True)


# Any sequence of answers

#: What becomes of a submit, and whether the account charges for it, or may.
ANSWERS = {"accepted": True, "refused": False, "no charge": False, "charged": True, "unknown": True, "in doubt": True}

#: What may happen before it.
BEFORE = st.sampled_from(["nothing"] * 3 + ["pause", "late", "cancel"])


@given(
    lives=st.lists(st.tuples(BEFORE, st.sampled_from(sorted(ANSWERS))), min_size=3, max_size=3),
    after_charge=st.tuples(st.booleans(), st.booleans()),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_one_account_charges_at_most(lives: list[tuple[str, str]], after_charge: tuple[bool, bool]) -> None:
    """Whatever three accounts answer: a second one charges only where the request says so, and there is one end."""
    world = World()
    charges = dict(zip(ACCOUNTS[1:], after_charge, strict=True))
    step = world.ask(to=tuple(fallback(account, after_charge=yes) for account, yes in charges.items()))
    charged = []
    for before, answer in lives:
        account = world.where()
        if before == "pause":  # of an account that was about to submit
            world.ledger.accounts.pause(account, reason="no credit", by="operator")
        submit = world.submit_or_none(step)
        if before == "cancel":
            world.ledger.jobs.cancel(account, "a", at_provider=True)
        if submit is None:
            step = world.resume_at(world.where())
            continue
        if ANSWERS[answer]:
            charged.append(account)
        world.play(submit, answer)
        if before == "late":
            world.fail(submit)
        if world.where() == account:
            break
        step = world.resume_at(world.where())
    assert all(charges[each] for each in charged[1:]), charged
    assert len(world.record().moves) == ACCOUNTS.index(world.where())
    world.check()


@pytest.mark.parametrize(
    ("charged", "late", "sums"),
    [
        (None, False, Sums(refunded=40_000)),
        (None, True, Sums(refunded=40_000, spent=40_000, purchases=1)),
        (Charged.YES, False, Sums(spent=40_000, purchases=1)),
    ],
)
def test_each_account_has_what_was_paid_there_in_its_book(charged: Charged | None, late: bool, sums: Sums) -> None:
    """A refusal is given back before the record leaves; an acceptance that turns out later is booked all the same."""
    world = World()
    first = world.submit(world.ask(to=(fallback(SECOND, after_charge=True),)))
    world.fail(first, **({"charged": charged} if charged else {}))
    if late:
        world.accept(first)
    day = datetime.fromtimestamp(world.clock.now, UTC).date()

    def booked(account: AccountName) -> Sums:
        return sum(world.ledger.books.day(account, day).values(), Sums())

    assert booked(FIRST) == sums
    assert booked(SECOND) == Sums()
    second = world.submit(world.ledger.jobs.step("a", SECOND, token=world.token()))
    world.accept(second)
    assert booked(SECOND) == Sums(spent=40_000, purchases=1)
