"""What `bide recover` prints, and what `bide doctor` says of receipts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from bide.cli.recover import Recovered, show
from bide.errors import StorageError
from bide.storage import Storage
from config.settings import load
from tests.unit.memory_store import MemoryStorage
from workers.doctor.findings import Level
from workers.doctor.receipts import check_receipts

SINCE = datetime(2026, 11, 30, tzinfo=UTC)
FOUND = [
    Recovered("a", "photogpt/default", "receipt", "taken", "running"),
    Recovered("b", "photogpt/default", "receipt", "taken", "unconfirmed"),
    Recovered("c", "photogpt/default", "result", "known", "succeeded"),
    Recovered("d", "photogpt/default", "receipt", "held", "", "its provider's id is that of job a"),
    Recovered("e", "photogpt/default", "receipt", "twice", "running", "bought more than once, by photogpt/b as 9"),
    Recovered("f", "photogpt/default", "receipt", "elsewhere", "", "it comes to photogpt/b again and again"),
    Recovered("g", "photogpt/default", "receipt", "unreadable", "", "a receipt of the kind 'x' has another form"),
]


def test_it_says_what_it_found_and_what_not(capsys: pytest.CaptureFixture[str]) -> None:
    """By source and state; each job that a person has to look at is named."""
    show(FOUND, ["s3://results/bide-receipts/x.json"], since=SINCE, dry=False, as_json=False)
    printed = capsys.readouterr().out
    for line in (
        "1 by receipt: taken up, running",
        "1 by receipt: taken up, unconfirmed",
        "1 by result: there already, succeeded",
        "d (photogpt/default): its provider's id is that of job a",
        "1 by receipt: there already, and bought besides, running",
        "e (photogpt/default): bought more than once, by photogpt/b as 9",
        "1 by receipt: not taken up: it is sent anew all the time",
        "f (photogpt/default): it comes to photogpt/b again and again",
        "g (photogpt/default): a receipt of the kind 'x' has another form",
        "s3://results/bide-receipts/x.json can't be read",
        "bide unconfirmed list",
        "bide ledger confirm",
    ):
        assert line in printed


def test_it_says_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """For programs: counts, each job, and what could not be read."""
    show(FOUND, ["x"], since=SINCE, dry=True, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["dry_run"], printed["unreadable"], len(printed["jobs"])) == (True, ["x"], len(FOUND))
    assert {"source": "receipt", "what": "taken", "state": "running", "jobs": 1} in printed["counts"]


class Refusing(MemoryStorage):
    """A store that takes nothing where the receipts lie."""

    def put(self, key: str, content: Any, **_: Any) -> None:
        raise StorageError("AccessDenied", permanent=True)

    def remove(self, key: str, version: str = "") -> None:
        """Nothing is there."""


@pytest.mark.parametrize(
    ("receipts", "store", "levels"),
    [
        ("off", Refusing, []),
        ("s3", Refusing, [Level.PROBLEM]),
        ("s3", MemoryStorage, [Level.OK]),
    ],
)
def test_the_doctor_writes_one(receipts: str, store: type[MemoryStorage], levels: list[Level]) -> None:
    """Where they are on and the bucket takes none, nothing is submitted: that is a problem."""
    settings = load({"BIDE_S3__BUCKET": "results", "BIDE_LEDGER__RECEIPTS": receipts}, env_file=None)
    storage = cast(Storage, store())
    storage.remove = lambda *_: None  # type: ignore[method-assign]  # the test object goes
    found = list(check_receipts(settings, storage, lambda: "bide-receipts/here/"))
    assert [each.level for each in found] == levels
    assert all("nothing is submitted" in each.says for each in found if each.level is Level.PROBLEM)
