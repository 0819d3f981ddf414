"""When a job goes on at its fallback, when never, and what goes with it: the ledger's part."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.contract import Charged, Failure, FailureCode, JobState
from bide.ledger import AccountName, Limits, Messages, Polled, Record, Step, Verb
from bide.ledger.keys import prefix
from bide.ledger.records import Concluded
from bide.ledger.settling import Doubt, Promise
from bide.money.book import Sums
from bide.money.quote import Quote
from tests.contract.ledger_invariants import check_account, check_keys, snapshot
from tests.contract.ledger_stage import Clock, Crew, Stage, request_of, taken
from tests.contract.observed_redis import ObservedRedis
from workers.metrics.counted import FALLBACKS

FIRST, SECOND, THIRD = (AccountName("photogpt", name) for name in ("default", "second", "third"))
ACCOUNTS = (FIRST, SECOND, THIRD)
DEADLINE_SECONDS = 1800.0


def fallback(account: AccountName, **more: Any) -> dict[str, Any]:
    """A fallback of a request, with a model of its own."""
    return {**account._asdict(), "operation": "images.edits", "params": {"modelID": account.account}, **more}


class World(Stage):
    """A ledger in which jobs go on at other accounts; each check looks at all of them."""

    def __init__(self) -> None:
        super().__init__(ObservedRedis(), Clock())
        self.hints: list[Any] = []

    def ask(self, job_id: str = "a", *, to: tuple[dict[str, Any], ...] | None = None, **changes: Any) -> Step:
        """A message arrives with a request that has fallbacks: the second account, and the third one."""
        fallbacks = (fallback(SECOND), fallback(THIRD)) if to is None else to
        parsed = type(request_of()).parse(
            {**request_of(**changes).model_dump(mode="json", exclude_defaults=True), "fallbacks": list(fallbacks)}
        )
        return self.ledger.jobs.step(
            job_id, FIRST, token=self.token(), request=parsed, deadline_seconds=DEADLINE_SECONDS, signature="{}"
        )

    def submit(self, step: Step, *, free: bool = False, promise: Promise | None = None) -> tuple[Record, str, int]:
        """The intent of a job that may be submitted now."""
        record = taken(step, Verb.SUBMIT)
        token = record.text("token")
        promise = promise or Promise(free=free)
        return record, token, self.ledger.submits.intend(record, token, promise=promise, quote=Quote(40_000, "USD"))

    def accept(self, submit: tuple[Record, str, int]) -> None:
        """The provider accepts it."""
        record, token, attempt = submit
        pid = f"p-{record.account.account}-{record.job_id}"
        self.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id=pid, first_poll_seconds=2)

    def fail(self, submit: tuple[Record, str, int], code: str = "rejected", **why: Any) -> Concluded:
        """The provider refuses it for good."""
        record, token, attempt = submit
        return self.ledger.jobs.conclude(
            record, token, JobState.FAILED, error=error_of(record, code, **why), attempt=attempt
        )

    def submit_or_none(self, step: Step) -> tuple[Record, str, int] | None:
        """The intent; None where the job waits, or is over, or has gone on meanwhile."""
        if step.verb is not Verb.SUBMIT:
            return None
        submit = self.submit(step)
        return submit if submit[-1] > 0 else None

    def play(self, submit: tuple[Record, str, int], answer: str) -> None:
        """The provider's answer to a submit, and what a poll finds then."""
        record, token, _ = submit
        if answer == "in doubt":
            error = error_of(record, "submission_unknown")
            self.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=error)
        elif answer == "refused":
            self.fail(submit)
        else:
            self.accept(submit)
        if answer in ("no charge", "charged", "unknown"):
            said = {"no charge": Charged.NO, "charged": Charged.YES, "unknown": None}[answer]
            self.fail_there(record.account, charged=said)

    def fail_there(
        self, account: AccountName, job_id: str = "a", code: str = "generation_failed", **why: Any
    ) -> Messages:
        """A poll finds that the provider made nothing."""
        record = self.at(account, job_id)
        polled = Polled(job_id, "failed", value=error_of(record, code, **why), note=code)
        return self.ledger.polls.record(account, [polled])

    def resume_at(self, account: AccountName, job_id: str = "a") -> Step:
        """A message of bide's own arrives that names an account."""
        return self.ledger.jobs.step(job_id, account, token=self.token())

    def at(self, account: AccountName, job_id: str = "a") -> Record:
        found = self.ledger.jobs.read(account, job_id)
        assert found is not None, f"{job_id} is not at {account}"
        return found

    def where(self, job_id: str = "a") -> AccountName:
        """The one account that has the job."""
        [found] = [each for each in ACCOUNTS if self.ledger.jobs.read(each, job_id)]
        return found

    def record(self, job_id: str = "a") -> Record:
        return self.at(self.where(job_id), job_id)

    def moved(self, account: AccountName) -> dict[str, int]:
        """How many jobs have left an account for their fallback, by why, as metrics have it."""
        found: Any = self.server.hgetall(f"{prefix(account)}metrics")
        return {code: number for code, number in FALLBACKS.counts(dict(found)).items() if number}

    def sweep(self, seconds: float = 0.0) -> None:
        """Time passes, then all accounts are swept."""
        self.clock.advance(seconds)
        for account in self.ledger.accounts.names():
            self.ledger.accounts.sweep(account)

    def check(self) -> None:
        """All keys are as they should be, and none is left for ever."""
        whole = snapshot(self.server)
        for account in ACCOUNTS:
            check_account(whole, account, max_in_flight=100, late=())
        check_keys(whole, ACCOUNTS)


def error_of(record: Record, code: str, **why: Any) -> str:
    """A failure as a step writes it."""
    return Failure(
        code=FailureCode(code), message="no", job_id=record.job_id, provider=record.account.provider, **why
    ).model_dump_json()


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


# Never in doubt


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


# What goes with it


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
