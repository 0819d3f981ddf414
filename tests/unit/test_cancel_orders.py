"""A cancel at each moment of a job's life, at a provider that can stop jobs, and with a process that dies there.

Whatever the order: one purchase at most, it is stopped or stored, and the job has one end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bide.client.status import status_of
from bide.contract import FailureCode, GenerateRequest, JobState
from bide.errors import InvalidRequestError, NotSentError, SubmissionUnknownError
from bide.ledger import Verb
from bide.ledger.snapshot import take_snapshot
from bide.ledger.timeline import money, why
from tasks.steps.outcome import Fail, Ignore, Suspend
from tests.unit.atelier import ACCEPTED, ACCOUNT, BASE, CANCEL, STATUS, Atelier, Killed, atelier

__all__ = ["atelier"]

WORKS = f"{BASE}/works"
PICTURES = ["https://cdn.example/7.png"]
DONE = {"state": "done", "pictures": PICTURES}
PAINTING = {"state": "painting"}


def state(world: Atelier) -> str:
    return world.record().text("state")


def asked(world: Atelier) -> list[str]:
    """The methods of the calls about the job."""
    return [method for method, url in world.calls if url in (STATUS, CANCEL)]


def cancels_once(world: Atelier, *, at: str = WORKS) -> None:
    """The cancel comes while the first call to that address is under way."""

    def cancel() -> None:
        if world.calls[-1][1] == at:
            world.meanwhile = None
            world.canceler.cancel("a")

    world.meanwhile = cancel


def store(world: Atelier) -> str:
    """A worker stores the result; what its caller then hears."""
    step = world.ledger.jobs.step("a", ACCOUNT, token="t-store")
    assert (step.verb, step.record is not None) == (Verb.STORE, True)
    assert step.record
    assert world.ledger.jobs.conclude(step.record, "t-store", JobState.SUCCEEDED, result="{}")
    return world.record().text("state")


# Before the purchase


def test_before_its_message(atelier: Atelier) -> None:
    """The worker that opens it finds it canceled."""
    atelier.canceler.cancel("a")
    asked_for = GenerateRequest(provider="atelier", operation="paint", params={"motif": "a red fox"})
    step = atelier.ledger.jobs.step("a", ACCOUNT, token="t", request=asked_for)
    assert (step.verb, state(atelier), atelier.purchases()) == (Verb.ANSWER, "canceled", 0)


def test_before_its_intent(atelier: Atelier) -> None:
    """A worker has it in hand, and fetches its inputs: the intent finds the lease gone."""
    atelier.store_check.wait = lambda: "" if atelier.canceler.cancel("a") else "?"
    assert atelier.submit() == Ignore("lease_lost")
    assert (state(atelier), atelier.purchases()) == ("canceled", 0)


# While the submit is under way


def test_while_it_is_submitted(atelier: Atelier) -> None:
    """The job goes on until the provider has answered, and says so; then its first poll comes at once and stops it."""
    atelier.reply("POST", WORKS, ACCEPTED)
    atelier.reply("PUT", CANCEL, {"canceled": "stopped"})
    words: list[tuple[str, str, str]] = []

    def cancel() -> None:
        if atelier.purchases() and not words:
            atelier.canceler.cancel("a")
            explained = why(take_snapshot(atelier.ledger, atelier.record()))[-1]
            words.append((state(atelier), status_of(atelier.record(), "a").note, explained))

    atelier.meanwhile = cancel
    assert isinstance(atelier.submit(), Suspend)
    note = "canceled: the provider is asked to stop it once it has answered the submit"
    assert words == [("submitting", note, note)]
    assert (state(atelier), atelier.record().text("pid")) == ("running", "7")
    atelier.poll(after_seconds=0)
    assert (state(atelier), asked(atelier), atelier.purchases()) == ("canceled", ["PUT"], 1)


def test_a_late_success_after_a_cancel_during_the_submit(atelier: Atelier) -> None:
    """The provider took note of the cancel, and made the picture all the same: it is stored, and its caller gets it."""
    cancels_once(atelier)
    atelier.reply("POST", WORKS, ACCEPTED)
    atelier.reply("PUT", CANCEL, {"canceled": "requested"})
    atelier.reply("GET", STATUS, PAINTING)
    atelier.reply("GET", STATUS, DONE)
    atelier.submit()
    atelier.poll(after_seconds=0)
    assert (state(atelier), asked(atelier)) == ("running", ["PUT", "GET"])
    atelier.poll()
    assert (state(atelier), store(atelier), atelier.purchases()) == ("storing", "succeeded", 1)


def test_a_submit_that_answers_with_the_result(atelier: Atelier) -> None:
    """The cancel is too late: the result is stored, and the provider is asked nothing more."""
    cancels_once(atelier)
    atelier.reply("POST", WORKS, {**ACCEPTED, "pictures": PICTURES})
    atelier.submit()
    assert (state(atelier), asked(atelier)) == ("storing", [])
    assert "that is paid for, and stored" in status_of(atelier.record(), "a").note
    assert store(atelier) == "succeeded"


@pytest.mark.parametrize(
    "answer",
    [
        lambda world: world.reply("POST", WORKS, {}, status=429),
        lambda world: world.fail("POST", WORKS, NotSentError("no connection")),
    ],
    ids=["429", "not sent"],
)
def test_a_submit_that_is_not_accepted_is_not_repeated(atelier: Atelier, answer: Callable[[Atelier], None]) -> None:
    """It would be tried again; it ends as canceled instead, with nothing bought, and its caller gets a message."""
    cancels_once(atelier)
    answer(atelier)
    outcome = atelier.submit()
    assert isinstance(outcome, Suspend)
    failure = atelier.record().failure
    assert (state(atelier), failure.code) == ("canceled", FailureCode.CANCELED)
    assert "the provider did not accept it" in failure.message
    assert [hint.job_id for hint in outcome.messages.hints] == ["a"]
    assert status_of(atelier.record(), "a").note == atelier.record().text("note")
    atelier.sweep(seconds=120)
    assert atelier.purchases() == 1


def test_a_submit_that_is_refused_is_canceled(atelier: Atelier) -> None:
    """As its caller wanted; the provider's reason stands in the message, for record and caller alike."""
    cancels_once(atelier)
    atelier.reply("POST", WORKS, {"message": "no foxes"}, status=422)
    outcome = atelier.submit()
    assert isinstance(outcome, Fail)
    assert (state(atelier), outcome.failure.code) == ("canceled", FailureCode.CANCELED)
    assert outcome.failure == atelier.record().failure
    assert outcome.failure.message == "canceled on request, while it was submitted; HTTP 422: no foxes"


def lost(world: Atelier, *, killed: bool, **request: Any) -> None:
    """A job that was canceled while its submit was under way, whose answer got lost; or the worker dies."""
    cancels_once(world)
    world.fail("POST", WORKS, Killed() if killed else SubmissionUnknownError("no answer"))
    if killed:
        with pytest.raises(Killed):
            world.submit(**request)
        world.sweep()
    else:
        world.submit(**request)


LOST = pytest.mark.parametrize("killed", [False, True], ids=["lost", "killed"])


@LOST
@pytest.mark.parametrize("on_unknown", ["hold", "resubmit"])
def test_a_submit_that_may_have_been_accepted(atelier: Atelier, killed: bool, on_unknown: str) -> None:
    """Unconfirmed, and bought no second time, though its request would allow it."""
    lost(atelier, killed=killed, on_unknown=on_unknown)
    atelier.canceler.cancel("a")  # its message comes twice
    assert state(atelier) == "unconfirmed"
    assert (
        "canceled: the provider is asked to stop it once its id there is known" in status_of(atelier.record(), "a").note
    )
    with pytest.raises(InvalidRequestError, match="job a was canceled, so it is not bought again"):
        atelier.ledger.unconfirmed.resubmit(ACCOUNT, "a")
    atelier.sweep(seconds=300)
    assert (state(atelier), atelier.purchases(), money(atelier.record())) == ("unconfirmed", 1, "may have been bought")


@LOST
@pytest.mark.parametrize(("made", "end"), [("stopped", "canceled"), ("too late", "storing")])
def test_it_is_stopped_where_an_operator_finds_it(atelier: Atelier, killed: bool, made: str, end: str) -> None:
    """Or stored, where it was made meanwhile."""
    lost(atelier, killed=killed)
    atelier.reply("PUT", f"{WORKS}/7/cancel", {"canceled": made})
    atelier.reply("GET", f"{WORKS}/7", DONE)
    atelier.ledger.unconfirmed.attach(ACCOUNT, "a", "7")
    atelier.poll(after_seconds=0)
    assert (state(atelier), atelier.purchases()) == (end, 1)


def test_a_late_answer_has_it_stopped(atelier: Atelier) -> None:
    """The worker lost its lease, and lives: the purchase that it reports is stopped."""
    record = atelier.record
    atelier.reply("PUT", CANCEL, {"canceled": "stopped"})
    atelier.reply("POST", WORKS, ACCEPTED)
    states = []

    def slow() -> None:
        if atelier.calls[-1][0] == "POST":
            atelier.canceler.cancel("a")
            atelier.sweep()
            states.append(record().text("state"))

    atelier.meanwhile = slow
    atelier.submit()
    atelier.poll(after_seconds=0)
    assert (states, state(atelier), asked(atelier)) == (["unconfirmed"], "canceled", ["PUT"])


def test_a_late_refusal_ends_it(atelier: Atelier) -> None:
    """Of a worker that lost its lease: it was surely not bought, and is not."""
    atelier.reply("POST", WORKS, {}, status=429)

    def slow() -> None:
        atelier.canceler.cancel("a")
        atelier.sweep(seconds=25)

    atelier.meanwhile = slow
    atelier.submit()
    assert (state(atelier), atelier.purchases()) == ("canceled", 1)


def test_after_a_first_submit_in_doubt(atelier: Atelier) -> None:
    """The second one is canceled, and surely not accepted: whether the first one was is not known."""
    atelier.fail("POST", WORKS, SubmissionUnknownError("no answer"))
    atelier.submit(on_unknown="resubmit")
    assert state(atelier) == "queued"
    atelier.reply("POST", WORKS, {}, status=429)
    cancels_once(atelier)
    atelier.again()
    assert (state(atelier), atelier.purchases()) == ("unconfirmed", 2)
    assert "an earlier submit of it may have been accepted" in atelier.record().failure.message


def test_while_it_waits_for_a_second_submit(atelier: Atelier) -> None:
    """The first one may have been accepted: no second is made, and what is found of the first is stopped."""
    atelier.fail("POST", WORKS, SubmissionUnknownError("no answer"))
    atelier.submit(on_unknown="resubmit")
    for _ in range(3):  # Flower's revoke reaches every worker
        atelier.canceler.cancel("a")
    atelier.sweep(seconds=300)
    assert (state(atelier), atelier.purchases()) == ("unconfirmed", 1)
    assert "an earlier submit of it may have been accepted" in atelier.record().failure.message
    atelier.reply("PUT", f"{WORKS}/7/cancel", {"canceled": "stopped"})
    atelier.ledger.unconfirmed.attach(ACCOUNT, "a", "7")
    atelier.poll(after_seconds=0)
    assert state(atelier) == "canceled"


def test_a_canceled_unconfirmed_job_is_over(atelier: Atelier) -> None:
    """Of which its caller knew that it is; an answer that comes still has the provider asked to stop it."""
    atelier.reply("POST", WORKS, ACCEPTED)
    atelier.reply("PUT", CANCEL, {"canceled": "requested"})

    def slow() -> None:
        if atelier.calls[-1][0] == "POST":
            atelier.sweep()
            atelier.canceler.cancel("a")

    atelier.meanwhile = slow
    atelier.submit()
    assert (state(atelier), atelier.record().text("pid"), asked(atelier)) == ("canceled", "7", ["PUT"])
