"""`bide adopt`: a purchase that no record knows is taken up, and what is known already is refused."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from bide.bulk.record import Options
from bide.bulk.runs import Runs
from bide.contract import JobState
from bide.errors import InvalidRequestError
from bide.ledger import AccountName
from tests.unit.atelier import ACCEPTED, ACCOUNT, BASE
from tests.unit.receipts_world import World, opened
from workers.adopt import adopt, context_of, request_of


@pytest.fixture
def world() -> Iterator[World]:
    """A deployment in memory, with receipts."""
    with opened(PRICES='{"paint": 0.04}') as world:
        yield world


def take(world: World, job_id: str, provider_job_id: str, account: AccountName = ACCOUNT, **request: Any) -> None:
    """What the command does."""
    tools: Any = world
    file = io.StringIO(json.dumps(request)) if request else None
    adopt(tools, account, job_id, provider_job_id, request_of(context_of(tools, account), file, None))


def test_it_is_polled_and_stored(world: World) -> None:
    """It was bought by another program; nothing is submitted, and it stands in the book once."""
    take(world, "mine", "9", operation="paint", params={"motif": "an owl"})
    record = world.record("mine")
    assert (record.state, record.text("pid"), record.request.params) == (JobState.RUNNING, "9", {"motif": "an owl"})
    world.reply("GET", f"{BASE}/works/9", {"state": "done", "pictures": ["https://a.studio.example/1.png"]})
    world.poll()
    assert world.state("mine") == JobState.STORING
    assert world.purchases() == 0
    [sums] = world.ledger.books.day(ACCOUNT, datetime.fromtimestamp(world.clock.now, UTC).date()).values()
    assert (sums.spent, sums.purchases) == (40_000, 1)


def test_it_outlives_the_ledger(world: World) -> None:
    """The bucket gets receipts of it, too."""
    take(world, "mine", "9", operation="paint", params={"motif": "an owl"})
    world.lose()
    assert world.recover() == {"mine": ("receipt", "taken", "running")}


def test_the_only_operation_need_not_be_named(world: World) -> None:
    """Where its request is not known; its params are missing then."""
    take(world, "mine", "9")
    assert world.record("mine").text("op") == "paint"
    with pytest.raises(InvalidRequestError, match="atelier has paint"):
        request_of(world.accounts.get(ACCOUNT), None, "draw")


@pytest.mark.parametrize(
    ("job_id", "provider_job_id", "account", "words"),
    [
        ("a", "9", ACCOUNT, "there is a job a already"),
        ("mine", "7", ACCOUNT, "7 is the provider's id of job a already"),
        ("mine", "9", AccountName("atelier", "other"), "can't be used here"),
        ("mine", "9", AccountName("nobody", "default"), "there is no 'nobody'"),
        ("mine/1", "9", ACCOUNT, "JOB: "),
        ("mine", "", ACCOUNT, "PROVIDER_ID: "),
        ("mine", "9 10", ACCOUNT, "PROVIDER_ID: "),
        ("mine", "9\n", ACCOUNT, "PROVIDER_ID: "),
    ],
)
def test_what_is_refused(world: World, job_id: str, provider_job_id: str, account: AccountName, words: str) -> None:
    """The error says what is wrong, and nothing changes."""
    world.reply("POST", f"{BASE}/works", ACCEPTED)
    world.submit("a")
    before = {key: world.server.hgetall(key) for key in world.server.keys("bide:{*}:job:*")}
    with pytest.raises(InvalidRequestError, match=words):
        take(world, job_id, provider_job_id, account)
    assert {key: world.server.hgetall(key) for key in world.server.keys("bide:{*}:job:*")} == before


def test_the_row_of_a_run_is_refused(world: World) -> None:
    """The run has another request under that id; where no run has the name, the id is free."""
    Runs(world.ledger.server).create("r", rows=2, digest="d", source="test", options=Options())
    with pytest.raises(InvalidRequestError, match=r"r\.2 is the id of a row of the bulk run r, .*: take another id"):
        take(world, "r.2", "9")
    assert world.server.keys("bide:{*}:job:*") == []
    take(world, "gone.2", "9")
    assert world.state("gone.2") == JobState.RUNNING


def test_another_accounts_request_is_refused(world: World) -> None:
    """A file that names another account, or fallbacks, is not this purchase's."""
    with pytest.raises(InvalidRequestError, match="without fallbacks"):
        take(world, "mine", "9", provider="other", operation="paint", params={"motif": "an owl"})
