"""The bucket's rules that remove receipts: bide's own, and any other that reaches them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bide import lifecycle


@pytest.mark.parametrize(("days", "words"), [(5, "change it by hand"), (90, "")])
def test_a_rule_of_anothers_that_removes_receipts(days: int, words: str) -> None:
    """One that keeps them long enough is taken for bide's; one that does not is named, and stays."""
    rule = {"ID": "mine", "Status": "Enabled", "Filter": {"Prefix": "bide-receipts/"}, "Expiration": {"Days": days}}
    found = lifecycle._compared([rule, {**rule, "ID": "off", "Status": "Disabled"}], [], 21)
    assert found.in_place is not bool(words)
    assert words in found.receipts
    assert rule in found.wanted


@pytest.mark.parametrize(
    "reach",
    [
        {"Filter": {}},
        {"Filter": {"Prefix": ""}},
        {"Prefix": ""},
        {"Prefix": "bide-receipts"},
        {"Filter": {"Prefix": "bide-"}},
        {"Filter": {"Prefix": "bide-receipts/ab"}},
        {"Filter": {"ObjectSizeGreaterThan": 500}},
        {"Filter": {"And": {"Prefix": "bide-receipts/", "ObjectSizeLessThan": 500}}},
        {"Filter": {"And": {"ObjectSizeGreaterThan": 5, "ObjectSizeLessThan": 500}}},
    ],
)
@pytest.mark.parametrize("end", [{"Days": 3}, {"Date": datetime(2030, 1, 1, tzinfo=UTC)}], ids=["days", "date"])
def test_any_rule_that_reaches_receipts_counts(reach: dict[str, object], end: dict[str, object]) -> None:
    """Beside bide's own one, which stays as it is."""
    early = {"ID": "mine", "Status": "Enabled", **reach, "Expiration": end}
    own = lifecycle.receipts_rule(60)
    found = lifecycle._compared([own, early], [], 21)
    assert "mine removes receipts" in found.receipts
    assert "change it by hand" in found.receipts
    assert own in found.wanted
    assert lifecycle._compared([own, {**early, "Status": "Disabled"}], [], 21).in_place
    missing = lifecycle._compared([early], [], 21)
    assert "mine removes receipts" in missing.receipts
    assert lifecycle.receipts_rule(21) in missing.wanted


@pytest.mark.parametrize(
    "changes",
    [
        {"Expiration": {"Days": 21}},
        {"Expiration": {"ExpiredObjectDeleteMarker": True}},
        {"Filter": {"Prefix": "logs/"}},
        {"Filter": {"Prefix": "bide-receipts-of-mine/"}},
        {"Filter": {"Tag": {"Key": "k", "Value": "v"}}},
        {"Filter": {"And": {"Prefix": "", "Tags": [{"Key": "k", "Value": "v"}]}}},
    ],
)
def test_rules_that_do_no_receipt_harm_are_well(changes: dict[str, object]) -> None:
    """They are late, or of other objects: a receipt has no tag."""
    rule = {"ID": "mine", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 3}, **changes}
    assert lifecycle._compared([lifecycle.receipts_rule(21), rule], [], 21).in_place
