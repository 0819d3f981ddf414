"""An id that a person or a list names is in the bucket, too: a job that was attached is not in doubt after a loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bide.errors import StorageError, SubmissionUnknownError
from bide.ledger.safety import DISK, LEDGER_KEY, announce
from bide.receipts import Accepted
from tests.contract.ledger_stage import Stage
from tests.unit.atelier import ACCOUNT, BASE
from tests.unit.command import Command
from tests.unit.pages_world import ANNA
from tests.unit.pages_world import World as Pages
from tests.unit.receipts_world import WHERE, World, opened
from workers import unconfirmed as settling
from workers.listed import Match


@pytest.fixture
def world() -> Iterator[World]:
    """A job in doubt, of a worker with receipts."""
    with opened() as world:
        world.server.hset(LEDGER_KEY, "id", "one")
        announce(world.server, DISK, receipts=WHERE)
        world.replies.clear()
        world.fail("POST", f"{BASE}/works", SubmissionUnknownError("no answer"))
        world.submit()
        yield world


def attach(world: World, store: Any = None) -> Any:
    """`bide unconfirmed attach`."""
    return Command(Stage(world.server, world.clock), store=store)("unconfirmed", "attach", "a", "p-9")


def test_what_a_command_attaches_outlives_the_ledger(world: World) -> None:
    """The workers announce where their receipts lie: the command's own settings need not say it."""
    attached = attach(world, world.storage)
    assert (attached.exit_code, "warning" in attached.output) == (0, False)
    world.lose()
    assert world.recover() == {"a": ("receipt", "taken", "running")}
    assert world.record().text("pid") == "p-9"
    [receipt] = [each for each in world.bucket.receipts if isinstance(each, Accepted)]
    assert (receipt.ledger, receipt.attempt, receipt.account) == ("one", 1, str(ACCOUNT))


def test_a_command_that_has_no_store_says_so(world: World) -> None:
    """The job goes on; after a loss it has to be attached again."""
    attached = attach(world)
    assert attached.exit_code == 0
    assert "warning: no receipt has the id" in attached.output
    assert "BIDE_S3__BUCKET" in attached.output
    assert world.state() == "running"


def test_a_store_that_refuses_is_named(world: World) -> None:
    """Nothing of the job depends on it."""
    world.bucket.failure = StorageError("AccessDenied", permanent=True)
    attached = attach(world, world.storage)
    assert (attached.exit_code, world.state()) == (0, "running")
    assert "AccessDenied" in attached.output


def test_without_receipts_there_is_none(world: World) -> None:
    """Nor a warning."""
    world.receipts.stop()
    announce(world.server, DISK, receipts="")
    before = len(world.bucket.client.objects)
    attached = attach(world, world.storage)
    assert (attached.exit_code, "warning" in attached.output) == (0, False)
    assert len(world.bucket.client.objects) == before


def test_what_a_settlement_by_listing_attaches_outlives_it_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """`bide unconfirmed settle`, and `bide recover` itself: a second loss finds the id."""
    monkeypatch.setattr(settling, "match_listed", lambda *_: Match("p-9", "it alone fits"))
    monkeypatch.setattr(settling, "sending_seconds_of", lambda _: 0.0)
    world.clock.advance(60)
    tools: Any = world
    context: Any = type("Context", (), {"adapter": Listing})
    assert settling._matched(tools, context, world.record()).provider_job_id == "p-9"
    world.lose()
    assert world.recover() == {"a": ("receipt", "taken", "running")}
    assert world.record().text("pid") == "p-9"


class Listing:
    """As much of an adapter as a settlement asks."""

    listed_operations = ("paint",)
    lists_after_seconds = 0.0


def test_what_a_button_attaches_has_a_receipt() -> None:
    """The pages have the bucket of the results."""
    pages = Pages(ANNA)
    pages.stage.unconfirmed("a", params={"prompt": "a red fox"})
    announce(pages.stage.server, DISK, receipts=WHERE)
    put: list[Any] = []
    storage: Any = pages.site.storage
    storage.put = lambda key, content, **_: put.append((key, content))
    assert pages.press("/jobs/a/attach", provider_job_id="p-9", sure="yes").status == 303
    [(key, content)] = put
    assert key.startswith(WHERE)
    assert b'"provider_job_id":"p-9"' in content
