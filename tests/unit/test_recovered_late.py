"""Acceptances that come late, of two accounts, or without an intent: what a recovery makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bide.errors import SubmissionUnknownError
from bide.receipts import Accepted
from tests.unit.atelier import ACCOUNT, BASE
from tests.unit.recovered_world import (
    SECOND,
    TAKEN,
    TwoAccounts,
    late,
    two_accounts,
)
from workers.recover import Recoverer


@pytest.fixture
def world() -> Iterator[TwoAccounts]:
    """A deployment in memory with two accounts; it is whole afterwards."""
    with two_accounts() as world:
        yield world
        world.check()


def test_an_account_that_was_left_accepts_late(world: TwoAccounts) -> None:
    """The fallback refused it, so it was in line there: it goes on where it turned out to be bought."""
    world.refuse()
    world.ask()
    world.answer({}, status=503)
    world.go_on()
    backup = world.back_up()
    late(world, ACCOUNT, "7")
    world.go_back(backup)
    assert world.at(SECOND) == "queued"
    assert world.recover() == TAKEN
    assert (world.at(ACCOUNT), world.at(SECOND)) == ("running", "")


def test_two_accounts_have_accepted_it(world: TwoAccounts) -> None:
    """A provider that accepts what it had refused: the other purchase is named."""
    world.buy_at_fallback()
    late(world, ACCOUNT, "7")
    world.lose()
    assert world.recover() == TAKEN
    record = world.ledger.jobs.read(SECOND, "a")
    assert record
    assert (record.text("pid"), record.text("elsewhere")) == ("9", "atelier/default as 7")


def test_a_fallback_in_doubt_and_a_late_acceptance(world: TwoAccounts) -> None:
    """It stays in doubt where it was sent last, and names the other purchase."""
    world.refuse()
    world.ask()
    world.replies["POST", f"{BASE}/works"].clear()
    world.fail("POST", f"{BASE}/works", SubmissionUnknownError("no answer"))
    world.go_on()
    late(world, ACCOUNT, "7")
    world.lose()
    assert world.recover() == {"a": ("receipt", "taken", "unconfirmed")}
    record = world.ledger.jobs.read(SECOND, "a")
    assert record
    assert record.text("elsewhere") == "atelier/default as 7"


def test_an_acceptance_without_its_intent(world: TwoAccounts) -> None:
    """It was bought, and no record can be made of it: it is named."""
    tools: Any = world
    writer: Any = world.receipts
    writer._add(
        Accepted(ledger="", job_id="q", account=str(ACCOUNT), attempt=1, at=world.clock.now, provider_job_id="7")
    )
    writer.stop()
    since = datetime.fromtimestamp(world.clock.now, UTC) - timedelta(days=1)
    [found] = Recoverer(tools, since=since).run()
    assert (found.job_id, found.what) == ("q", "unreadable")
    assert "accepted as 7" in found.why
    world.bucket.client.objects.clear()
