"""The page about all ledgers, where the settings name several."""

from __future__ import annotations

from bide.settings.ledgers import Ledgers, read_ledgers
from tests.unit.pages_world import ANNA, World

NAMES = {
    "BIDE_LEDGERS__EU__BROKER_URL": "redis://:hunter2@127.0.0.1:2/0",
    "BIDE_LEDGERS__US__BROKER_URL": "redis://127.0.0.1:1/0",
    "BIDE_LEDGERS__US__PAGES_URL": "https://bide-us.example.com",
}


def named() -> Ledgers:
    """Two ledgers."""
    found = read_ledgers(NAMES)
    assert found
    return found


def test_a_ledger_that_is_away_says_why() -> None:
    """It is shown with the way to its own pages, and without its password."""
    answer = World(ANNA, ledgers=named()).ask("/ledgers")
    assert answer.status == 200
    assert answer.words.count("away the ledger (Redis) does not answer: ConnectionError") == 2
    assert {"https://bide-us.example.com", "/ledgers"} <= set(answer.hrefs)
    assert "hunter2" not in answer.text


def test_without_the_setting_there_is_no_such_page() -> None:
    """Nor a link to it."""
    world = World(ANNA)
    assert world.ask("/ledgers").status == 404
    assert "/ledgers" not in world.ask("/").hrefs
