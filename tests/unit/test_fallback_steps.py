"""A job that goes on at its fallback, from the caller's message to its result: the worker's part."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from bide.cli.explain import explained
from bide.client.requests import checked
from bide.client.status import status_of
from bide.contract import Failure, FailureCode, JobResult, JobState
from bide.errors import InvalidRequestError, NotSentError
from bide.fallback import Fallback
from bide.ledger import Hint
from bide.ledger.listing import Listing, Wanted
from bide.ledger.snapshot import take_snapshot
from bide.providers.base import Cancels
from tasks.steps.outcome import Answer, Fail, Suspend
from tests.unit.atelier import BASE
from tests.unit.smithy_world import BASE_THERE, FALLBACK, FIRST, SECOND, Smithy, World, refuse, two_providers
from workers.flower.jobs import Jobs


@pytest.fixture
def world() -> Iterator[World]:
    """Two providers, installed for one test."""
    with two_providers() as world:
        yield world


PICTURE = b"\x89PNG\r\n\x1a\n"


def test_the_other_provider_makes_it(world: World) -> None:
    """One job, one id, one result: it says who made it, and what was tried."""
    refuse(world)
    world.reply("POST", f"{BASE_THERE}/works", world.made(b"words", id="9"))
    world.reply("GET", f"{BASE_THERE}/works/9", world.made(b"words"))
    outcome = world.message(request=world.order(metadata={"order": 7}))
    assert isinstance(outcome, Suspend)
    assert [(hint.account, hint.queue) for hint in outcome.messages.hints] == [(SECOND, "bide.submit")]
    outcome = world.follow(outcome)
    world.clock.advance(1)
    outcome = world.follow(outcome)
    assert isinstance(outcome, Answer), outcome
    result = JobResult.model_validate_json(json.dumps(outcome.result))
    assert (result.provider, result.operation, result.metadata) == ("smithy", "paint", {"order": 7})
    assert result.made_by
    assert result.made_by.model_dump() == {"provider": "smithy", "operation": "paint", "account": "night"}
    [tried] = result.tried
    assert (tried.provider, tried.account, tried.operation, tried.code) == ("atelier", "default", "paint", "rejected")
    assert "no such brush" in tried.message
    assert world.document()["tried"] == outcome.result["tried"]
    assert {key.split("/")[3] for key in world.storage.client.objects} == {"a"}
    assert [url for method, url in world.calls if method == "POST"] == [f"{BASE}/works", f"{BASE_THERE}/works"]


def test_all_fail(world: World) -> None:
    """The failure is that of the last account, and lists them all; so does the record."""
    refuse(world)
    world.reply("POST", f"{BASE_THERE}/works", {"message": "closed"}, status=422)
    outcome = world.follow(world.message(request=world.order()))
    assert isinstance(outcome, Fail)
    failure = Failure.model_validate_json(outcome.failure.model_dump_json())
    assert (failure.provider, failure.code) == ("smithy", FailureCode.REJECTED)
    assert [(each.provider, each.code) for each in failure.tried] == [("atelier", "rejected"), ("smithy", "rejected")]
    assert world.found().failure == failure


def test_a_job_without_fallbacks_says_nothing_of_them(world: World) -> None:
    """What earlier releases read stays as it is."""
    refuse(world)
    outcome = world.message(request=world.order(fallbacks=[]))
    assert isinstance(outcome, Fail)
    assert "tried" not in outcome.failure.model_dump(mode="json")
    assert "fallback" not in " ".join(world.found().fields)


def test_a_provider_that_is_down(world: World) -> None:
    """The second refused connection shows it: that job goes on, and later ones do at once."""
    for _ in range(2):
        world.fail("POST", f"{BASE}/works", NotSentError("connection refused"))
    world.reply("POST", f"{BASE_THERE}/works", {"id": "9"})
    world.message(request=world.order())
    world.clock.advance(1.01)
    [hint] = world.ledger.accounts.admit(FIRST).hints
    outcome = world.message("a", bide_account=str(hint.account))
    world.follow(outcome)
    assert (world.found().account, world.found().state) == (SECOND, JobState.RUNNING)
    world.message("b", world.order())
    assert (world.found("b").account, world.found("b").state) == (SECOND, JobState.RUNNING)
    assert world.purchases() == 4


def test_a_doubtful_submit_stays(world: World) -> None:
    """The provider may have accepted."""
    world.reply("POST", f"{BASE}/works", {"message": "bad gateway"}, status=502)
    outcome = world.message(request=world.order())
    assert isinstance(outcome, Fail)
    assert outcome.failure.code is FailureCode.SUBMISSION_UNKNOWN
    assert (world.found().account, world.found().state) == (FIRST, JobState.UNCONFIRMED)


def test_a_message_for_the_account_before_leads_on(world: World) -> None:
    """A message of bide's own, and the caller's, which comes again with the whole request."""
    refuse(world)
    world.reply("POST", f"{BASE_THERE}/works", {"id": "9"})
    request = world.order()
    world.message(request=request)
    world.message("a", bide_account=str(FIRST))
    assert (world.found().account, world.found().state) == (SECOND, JobState.RUNNING)
    world.message(request=request)
    assert world.purchases() == 2


def test_a_cancel_follows_it(world: World) -> None:
    """Also one whose look-up was overtaken by the move."""
    refuse(world)
    world.message(request=world.order())
    find = world.ledger.jobs.find
    stale = SimpleNamespace(account=FIRST)
    looks: list[Any] = [stale]
    world.ledger.jobs.find = lambda job_id: looks.pop() if looks else find(job_id)  # type: ignore[method-assign]
    assert world.canceler.cancel("a")
    assert (world.found().account, world.found().state) == (SECOND, JobState.CANCELED)


# For people


def test_where_it_is_and_what_was_tried(world: World) -> None:
    """In its status, its story, the list of jobs, and Flower's."""
    refuse(world)
    world.reply("POST", f"{BASE_THERE}/works", {"id": "9"})
    world.follow(world.message(request=world.order()))
    record = world.found()
    status = status_of(record, "a")
    assert (status.provider, status.account, [each.code for each in status.tried]) == ("smithy", "night", ["rejected"])
    assert "at smithy/night, fallback 1 of 1; left before: atelier/default (rejected)" in status.note
    assert status.what == "smithy paint"
    story = explained(take_snapshot(world.ledger, record), [])
    assert [each["provider"] for each in story["tried"]] == ["atelier"]
    [event] = [event for event in story["timeline"] if event["what"] == "fallback"]
    assert "left atelier/default: rejected" in event["detail"]
    assert event["detail"].endswith("went on at smithy/night")
    [job] = Listing(world.ledger.executor).search(Wanted(), most=5).jobs
    assert (job.account, job.what, job.tried) == (SECOND, "smithy paint", ("atelier/default (rejected)",))
    assert Jobs(world.ledger).words({"a": "atelier paint"}) == {
        "a": "waits at the provider; left before: atelier/default (rejected)"
    }


# Bad input

GOOD_PARAMS = {"motif": "a blue fox"}

BAD: list[tuple[list[Any], str]] = [
    (
        [{**FALLBACK, "provider": "atelier", "account": "default"}],
        "fallbacks.0.account: atelier/default is the",
    ),
    ([{"provider": "atelier", "operation": "paint", "params": {"motif": "a red fox"}}], "fallbacks.0.account"),
    (
        [FALLBACK, {**FALLBACK, "params": {"motif": "other"}}],
        "fallbacks.1.account: smithy/night is that of",
    ),
    (
        [{**FALLBACK, "account": f"n{number}"} for number in range(4)],
        "fallbacks: names 4 fallbacks, and 3 are",
    ),
    ([{**FALLBACK, "operation": "forge"}], "fallbacks.0: operation: "),
    ([{**FALLBACK, "provider": "nobody"}], "fallbacks.0: provider: "),
    ([{**FALLBACK, "params": {}}], "fallbacks.0: params.motif: is required"),
    ([{**FALLBACK, "params": {"motif": 7}}], "fallbacks.0: params.motif: "),
    ([{**FALLBACK, "after_charges": True}], "fallbacks.0.after_charges: is not a known field; did you mean"),
    ([{**FALLBACK, "after_charge": "yes"}], "fallbacks.0.after_charge: "),
    ({"smithy": 1}, "fallbacks: must be a list of fallbacks"),  # type: ignore[list-item]  # what is tested
]


@pytest.mark.parametrize(("fallbacks", "says"), BAD)
def test_a_bad_fallback_is_refused(world: World, fallbacks: Any, says: str) -> None:
    """By the worker and by the client, with field and remedy; nothing is opened."""
    outcome = world.message(request={**world.order(), "fallbacks": fallbacks})
    assert isinstance(outcome, Fail)
    assert outcome.failure.code is FailureCode.INVALID_REQUEST
    assert outcome.failure.message.startswith(says), outcome.failure.message
    assert world.ledger.jobs.find("a") is None
    with pytest.raises(InvalidRequestError) as refused:
        checked({**world.order(), "fallbacks": fallbacks}, {}, None)
    assert str(refused.value).startswith(says)


def test_an_account_that_is_not_here_is_refused(world: World) -> None:
    """The client does not know the accounts; the first worker does."""
    outcome = world.message(request=world.order({**FALLBACK, "account": "day"}))
    assert isinstance(outcome, Fail)
    assert outcome.failure.message.startswith("fallbacks.0: account: smithy/day can't be used here")
    assert world.ledger.jobs.find("a") is None


def test_inputs_that_a_fallback_does_not_take(world: World) -> None:
    """All accounts get the same inputs."""
    with pytest.raises(InvalidRequestError, match=r"^(inputs|fallbacks\.0: inputs)"):
        checked(world.order(inputs={"person": "https://example.com/a.png"}), {}, None)


def test_the_client_takes_fallbacks_as_an_option(world: World) -> None:
    """As values of Python, or as JSON; large params count for the size of the request."""
    request, adapter = checked(world.order(fallbacks=[]), {"fallbacks": [Fallback.model_validate(FALLBACK)]}, None)
    assert (adapter.name, request.fallbacks[0].account) == ("atelier", "night")
    again, _ = checked(request, {}, None)
    assert again.fingerprint() == request.fingerprint()
    assert isinstance(Smithy(), Cancels)


def test_hints_name_the_account_that_has_the_job(world: World) -> None:
    """So that no worker has to look for it."""
    refuse(world)
    outcome = world.message(request=world.order())
    assert isinstance(outcome, Suspend)
    assert outcome.messages.hints == (Hint(SECOND, "a", "bide.submit", outcome.messages.hints[0].signature),)
