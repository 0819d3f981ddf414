"""Rows of bulk runs: their lines lose what they hold of people, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest

from bide.bulk.record import Options
from bide.bulk.replay import failed_rows
from bide.bulk.retention import days_of_run
from bide.erasure.erase import Eraser
from bide.erasure.report import Report
from bide.erasure.wanted import Wanted
from bide.retention import Retention
from tests.unit.bulk_world import World, row, some_rows

SHEET = "runs/r/index.html"


def begin(world: World, rows: list[dict[str, Any]] | None = None) -> None:
    """A run of three rows, and of one that repeats the first."""
    four = [row(f"fox {number}", metadata={"who": f"w{number}"}) for number in (1, 2, 3, 1)]
    world.begin(rows or four, Options(window=10))


def objects(world: World) -> dict[str, bytes]:
    """All objects of the bucket."""
    storage: Any = world.storage
    found: dict[str, bytes] = storage.client.objects
    return found


def erase(world: World, *ids: str, **conditions: Any) -> Report:
    """The report of an erasure."""
    return Eraser(world.ledger, world.storage, world.server, Wanted(frozenset(ids), **conditions)).run()


@pytest.mark.parametrize("how", [{"ids": ("r.1",)}, {"metadata": (("who", "w1"),)}], ids=["by id", "by metadata"])
def test_a_row_loses_its_content(world: World, how: dict[str, Any]) -> None:
    """With the row that repeats it; input and results keep their lines, and places in the input hold."""
    begin(world)
    world.run_to_its_end(fails="fox 1")
    objects(world)[SHEET] = b"<p>fox 1</p>"
    before, lines = objects(world)["runs/r/input.jsonl"], world.lines()
    ids = how.pop("ids", ())
    report = erase(world, *ids, **how)
    assert report.erased[0] == "r.1"
    assert report.refused == {}
    after = objects(world)["runs/r/input.jsonl"]
    assert [len(line) for line in after.splitlines()] == [len(line) for line in before.splitlines()]
    assert not [key for key, content in objects(world).items() if b"fox 1" in content or b"w1" in content]
    assert SHEET not in objects(world)
    first, second, third, copy = world.lines()
    assert [second, third] == lines[1:3]
    for line, old in ((first, lines[0]), (copy, lines[3])):
        assert line["erased"]
        assert (line["request"]["params"], line["request"]["metadata"], line["outputs"]) == ({}, {}, [])
        assert {name: line[name] for name in ("row", "job_id", "state", "spent", "money")} == {
            name: old[name] for name in ("row", "job_id", "state", "spent", "money")
        }
        assert line["error"]["code"] == old["error"]["code"]
    assert failed_rows(world.storage, "r") == []


def test_a_row_of_a_run_that_goes_on_is_refused(world: World) -> None:
    """Its feeder reads the input."""
    begin(world)
    world.feed()
    report = erase(world, "r.1")
    assert "bide bulk cancel r" in report.refused["r.1"]
    assert b"fox 1" in objects(world)["runs/r/input.jsonl"]
    assert erase(world, metadata=(("who", "w1"),)).unreached == {"runs that go on": ["r"]}


def test_what_is_written_twice_is_the_same(world: World) -> None:
    """The second erasure finds nothing to do."""
    begin(world)
    world.run_to_its_end()
    erase(world, "r.2")
    before = {key: content for key, content in objects(world).items() if key.startswith("runs/")}
    assert erase(world, "r.2").objects == 0
    assert before == {key: content for key, content in objects(world).items() if key.startswith("runs/")}


@pytest.mark.parametrize(
    ("asked", "retention", "days"),
    [
        ([7, 30], Retention(), 30),
        ([7, None], Retention(), None),
        ([7, None], Retention(days=14), 14),
        ([None, None], Retention(operations={"photogpt/*": 60}), 60),
        ([None], Retention(), None),
    ],
)
def test_a_run_stays_as_long_as_its_longest_row(
    world: World, asked: list[int | None], retention: Retention, days: int | None
) -> None:
    """A row that is to stay for ever keeps all of it."""
    rows = [
        {**each, **({"retention_days": it} if it else {})}
        for each, it in zip(some_rows(len(asked)), asked, strict=True)
    ]
    begin(world, rows)
    assert days_of_run(world.storage, "r", retention) == days
