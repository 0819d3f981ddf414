"""A fallback at an account without settings: a client opens such a job, and no worker buys it anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bide.client.opening import Wanted
from bide.client.requests import checked
from bide.contract import FailureCode, JobState
from tasks.steps.outcome import Fail
from tests.unit.atelier import BASE
from tests.unit.smithy_world import BASE_THERE, FALLBACK, FIRST, World, refuse, two_providers

UNKNOWN = {**FALLBACK, "account": "day"}


@pytest.fixture
def world() -> Iterator[World]:
    """Two providers, installed for one test."""
    with two_providers() as world:
        yield world


def opened(world: World, *fallbacks: dict[str, Any]) -> dict[str, Any]:
    """A job that a client has opened; returns its request."""
    request, adapter = checked(world.order(*fallbacks), {}, None)
    world.ledger.jobs.open_many([Wanted("a", request, adapter).opening()])
    return world.order(*fallbacks)


@pytest.mark.parametrize("fallbacks", [[UNKNOWN], [UNKNOWN, FALLBACK], [FALLBACK, UNKNOWN]])
@pytest.mark.parametrize("by_hint", [False, True])
def test_a_job_that_a_client_opened_is_not_bought(world: World, fallbacks: list[Any], by_hint: bool) -> None:
    """By the client's message and by the sweeper's; no account that is there makes it either."""
    request = opened(world, *fallbacks)
    headers = {"bide_account": str(FIRST)} if by_hint else {}
    outcome = world.message(request=None if by_hint else request, **headers)
    assert isinstance(outcome, Fail), outcome
    assert outcome.failure.code is FailureCode.INVALID_REQUEST
    place = fallbacks.index(UNKNOWN)
    assert outcome.failure.message.startswith(f"fallbacks.{place}: account: smithy/day can't be used here")
    assert world.found().state is JobState.FAILED
    assert not world.found().fell_back
    assert world.calls == []


def test_a_job_that_went_on_goes_on(world: World) -> None:
    """What was asked once is not asked again: a setting that is gone later is passed over at its own turn."""
    refuse(world)
    opened(world, FALLBACK, {**FALLBACK, "account": "late"})
    world.configure(SMITHY__ACCOUNTS__LATE__API_KEY="a-key-of-some-days")
    outcome = world.message("a", bide_account=str(FIRST))
    world.configure()
    world.reply("POST", f"{BASE_THERE}/works", world.made(b"words", id="9"))
    world.follow(outcome)
    assert world.found().state is JobState.STORING
    assert [url for method, url in world.calls if method == "POST"] == [f"{BASE}/works", f"{BASE_THERE}/works"]
