"""A cancel once the provider has the job: before and during a poll, while the result is stored, and after the end."""

from __future__ import annotations

import pytest

from bide.client.status import status_of
from tests.unit.atelier import ACCEPTED, ACCOUNT, CANCEL, STATUS, Atelier, atelier
from tests.unit.test_cancel_orders import DONE, WORKS, asked, cancels_once, lost, state, store

__all__ = ["atelier"]


@pytest.mark.parametrize("kills", [1, 2])
def test_a_poller_that_dies_after_the_cancel(atelier: Atelier, kills: int) -> None:
    """The cancel is sent again."""
    atelier.reply("POST", WORKS, ACCEPTED)
    atelier.reply("PUT", CANCEL, {"canceled": "stopped"})
    atelier.submit()
    atelier.canceler.cancel("a")
    for _ in range(kills):
        atelier.poll(after_seconds=15, dies=True)
    atelier.poll(after_seconds=15)
    assert (state(atelier), asked(atelier)) == ("canceled", ["PUT"] * (kills + 1))


def test_while_a_poll_finds_the_result(atelier: Atelier) -> None:
    """It is stored."""
    atelier.reply("POST", WORKS, ACCEPTED)
    atelier.reply("GET", STATUS, DONE)
    atelier.submit()
    cancels_once(atelier, at=STATUS)
    atelier.poll()
    assert (state(atelier), asked(atelier), store(atelier)) == ("storing", ["GET"], "succeeded")


@pytest.mark.parametrize("killed", [False, True])
def test_while_its_result_is_stored(atelier: Atelier, killed: bool) -> None:
    """It is made and paid for: its caller gets it, also by another worker."""
    atelier.reply("POST", WORKS, ACCEPTED)
    atelier.reply("GET", STATUS, DONE)
    atelier.submit()
    atelier.poll()
    if killed:
        atelier.ledger.jobs.step("a", ACCOUNT, token="t-dies")
    assert atelier.canceler.cancel("a")
    assert state(atelier) == "storing"
    if killed:
        atelier.sweep()
    assert "that is paid for, and stored" in status_of(atelier.record(), "a").note
    assert (store(atelier), asked(atelier)) == ("succeeded", ["GET"])


def test_after_its_end(atelier: Atelier) -> None:
    """Nothing changes."""
    atelier.reply("POST", WORKS, ACCEPTED)
    atelier.reply("GET", STATUS, DONE)
    atelier.submit()
    atelier.poll()
    store(atelier)
    before = atelier.record().fields
    atelier.canceler.cancel("a")
    assert atelier.record().fields == before


def test_another_purchase_is_asked_to_stop_anew(atelier: Atelier) -> None:
    """The id that an operator attached is not known there; its cancels do not count for the next one."""
    lost(atelier, killed=False)
    atelier.reply("PUT", f"{WORKS}/6/cancel", {"canceled": "requested"})
    atelier.reply("GET", f"{WORKS}/6", {}, status=404)
    atelier.ledger.unconfirmed.attach(ACCOUNT, "a", "6")
    for _ in range(9):
        if state(atelier) == "running":
            atelier.poll()
    assert (state(atelier), atelier.record().text("cancel")) == ("unconfirmed", "canceled")
    atelier.reply("PUT", f"{WORKS}/7/cancel", {"canceled": "stopped"})
    atelier.ledger.unconfirmed.attach(ACCOUNT, "a", "7")
    atelier.poll(after_seconds=0)
    assert state(atelier) == "canceled"
