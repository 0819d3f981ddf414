"""Jobs of one account at several addresses: each call about a job goes where it was bought, whatever is set now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

import pytest

from bide.contract import FailureCode, JobState
from bide.providers import installed, reading
from bide.providers.base import Account, Answer, Call, Canceled, Listed, Listing, Ticket
from tasks.steps.home import _made
from tasks.steps.outcome import Fail
from tests.unit.atelier import ACCOUNT, Atelier, AtelierAdapter
from workers.services.fetcher import _own_headers
from workers.unconfirmed import with_candidates

OLD, NEW = "https://eu.atelier.example/v1", "https://us.atelier.example/v1"


class Branches(AtelierAdapter):
    """Has no address by default; stops and lists jobs under its base URL, and wants its key for downloads there."""

    default_base_url: ClassVar[str | None] = None  # type: ignore[assignment]  # that of the one it inherits from is a text
    listed_operations = frozenset({"paint"})

    def cancel_call(self, ticket: Ticket, account: Account) -> Call | None:
        path = f"/works/{reading.in_path(ticket.provider_job_id)}/cancel"
        return Call("PUT", account.url(path), headers=account.bearer)

    def list_call(self, since: datetime, until: datetime, account: Account, *, page: str = "") -> Call:
        return Call("GET", account.url("/works"), headers=account.bearer)

    def read_list(self, answer: Answer) -> Listing:
        return Listing(tuple(Listed(each, "done", None) for each in answer.json()))

    def media_headers(self, account: Account) -> dict[str, str]:
        return account.bearer


@pytest.fixture
def branches() -> Iterator[Atelier]:
    """A deployment whose account is at the old address."""
    installed()["atelier"] = Branches()
    world = Atelier(BASE_URL=OLD)
    try:
        yield world
    finally:
        world.event_loop.stop()
        del installed()["atelier"]


@pytest.fixture(params=[{"BASE_URL": NEW}, {}], ids=["moved", "no address any more"])
def later(request: pytest.FixtureRequest, branches: Atelier) -> dict[str, str]:
    """What is set once the job is under way."""
    settings: dict[str, str] = request.param
    branches.reply("POST", f"{OLD}/works", {"id": "7"})
    return settings


def called(world: Atelier) -> list[tuple[str, str]]:
    """The calls after the submit."""
    return world.calls[1:]


def test_a_job_is_polled_and_its_result_asked_for_where_it_was_bought(branches: Atelier, later: dict[str, str]) -> None:
    """Also where the result came inline, so that the step that stores it asks again."""
    branches.submit()
    branches.configure(**later)
    work = f"{OLD}/works/7"
    branches.reply("GET", work, {"state": "painting"})
    branches.reply("GET", work, {"state": "done", "pictures": ["data:image/png;base64,aGVsbG8="]})
    branches.poll()
    branches.poll()
    assert branches.record().text("state") == "storing"
    tools: Any = branches
    assert [media.content for media in _made(tools, branches.record()).outputs] == [b"hello"]
    assert called(branches) == [("GET", work)] * 3


def test_a_job_is_canceled_where_it_was_bought(branches: Atelier, later: dict[str, str]) -> None:
    """By its caller, and at its deadline."""
    branches.reply("PUT", f"{OLD}/works/7/cancel", {"canceled": Canceled.STOPPED})
    branches.reply("GET", f"{OLD}/works/7", {"state": "painting"})
    branches.submit("a")
    branches.submit("b", deadline_seconds=60)
    branches.configure(**later)
    branches.canceler.cancel("a")
    branches.poll(after_seconds=0)
    assert (branches.record("a").state, called(branches)[-1]) == (JobState.CANCELED, ("PUT", f"{OLD}/works/7/cancel"))
    branches.poll(after_seconds=100)
    branches.poll(after_seconds=100)
    assert branches.record("b").failure.code is FailureCode.DEADLINE
    assert called(branches)[-1] == ("PUT", f"{OLD}/works/7/cancel")
    assert not [url for _, url in branches.calls if not url.startswith(OLD)]


def test_a_job_that_was_canceled_during_its_submit_is_stopped_there(branches: Atelier) -> None:
    """Its record says where, though the settings have changed meanwhile."""
    branches.reply("POST", f"{OLD}/works", {"id": "7"})
    branches.reply("PUT", f"{OLD}/works/7/cancel", {"canceled": Canceled.STOPPED})

    def meanwhile() -> None:
        branches.meanwhile = None
        branches.configure(BASE_URL=NEW)
        branches.canceler.cancel("a")

    branches.meanwhile = meanwhile
    branches.submit()
    branches.poll(after_seconds=0)
    assert called(branches) == [("PUT", f"{OLD}/works/7/cancel")]


def test_candidates_of_an_unconfirmed_job_are_listed_where_it_was_to_be_bought(
    branches: Atelier, later: dict[str, str]
) -> None:
    """And the one that is attached is polled there."""
    branches.replies.clear()
    branches.reply("POST", f"{OLD}/works", None, status=500)
    assert isinstance(branches.submit(), Fail)
    assert branches.record().state is JobState.UNCONFIRMED
    branches.configure(**later)
    branches.reply("GET", f"{OLD}/works", ["7", "8"])
    tools: Any = branches
    [one] = with_candidates(tools)
    assert [each["provider_job_id"] for each in one["candidates"]] == ["7", "8"]
    branches.ledger.unconfirmed.attach(ACCOUNT, "a", "8")
    branches.reply("GET", f"{OLD}/works/8", {"state": "painting"})
    branches.poll()
    assert called(branches) == [("GET", f"{OLD}/works"), ("GET", f"{OLD}/works/8")]


def test_downloads_have_the_key_at_the_old_address_alone(branches: Atelier, later: dict[str, str]) -> None:
    """The origin is that of the base URL where the job was bought; a record of before says none."""
    branches.submit()
    branches.configure(**later)
    context = branches.accounts.get(ACCOUNT)
    own = _own_headers(context, branches.record())
    assert (own.of("https://eu.atelier.example/a.png") != {}, own.of("https://us.atelier.example/a.png")) == (True, {})
    before = replace(branches.record(), fields={**branches.record().fields, "base_url": ""})
    own = _own_headers(context, before)
    assert own.of("https://eu.atelier.example/a.png") == {}
    assert (own.of("https://us.atelier.example/a.png") != {}) is ("BASE_URL" in later)


def test_where_nothing_says_where_to_ask_the_job_waits(branches: Atelier) -> None:
    """A record of before, and settings without an address: the poll is put off, and says what is missing."""
    branches.reply("POST", f"{OLD}/works", {"id": "7"})
    branches.submit()
    branches.server.hdel(f"bide:{{{ACCOUNT}}}:job:a", "base_url", "adapter")
    branches.configure()
    branches.poll()
    assert branches.record().state is JobState.RUNNING
    assert "where to ask" in branches.record().text("note")
    assert called(branches) == []
