"""The tables of the reliability page are made of results, and have their places in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.faults.chaos.budgets import SHARES
from tests.faults.report import PAGE, PAGES, tables, written

RUN: dict[str, Any] = {
    "machine": "2 cores of a machine",
    "versions": "Python 3",
    "date": "2026-01-01",
    "busy": 1.5,
    "options": {"seed": 7, "contender": "bide", "common_only": False, "kinds": [], "fsync": "always", "hosts": 0},
    "plan": [{"kind": "kill"}, {"kind": "cut"}, {"kind": "power_cut"}],
    "jobs": 1200,
    "ends": {"succeeded": 1190, "submission_unknown": 6, "bad_media": 3},
    "lost": 1,
    "held_back": 1,
    "bought_twice": 2,
    "paid_for_nothing": 9,
    "stored_wrong": 0,
    "late": 4,
    "broken": ["a job was bought twice"],
    "answer_seconds": [6.0, 12.0, 30.0],
    "recovery_seconds": {"all": [12, 9.0, 14.0, 15.5]},
}

KEPT = {
    "jobs": 90,
    "succeeded": 89,
    "doubts": 7,
    "settled": 6,
    "held": 1,
    "bought_twice_seen": 2,
    "bought_twice_unseen": 0,
}
SPREAD = {
    **RUN,
    "options": {**RUN["options"], "contracts": True},
    "contracts": {"replay": KEPT, "listing": KEPT},
    "money": {
        "accounts": {
            "guild/default": {"billed": 1_250_000, "open": 70_000, "lied": 0, "spent": 1_180_000, "reserved": 70_000},
            "photogpt/default": {"billed": 500, "open": 0, "lied": 0, "spent": 500, "reserved": 0},
        },
        "tenants": {"acme": {"billed": 7, "open": 0, "lied": 0, "spent": 7, "reserved": 0}},
        "budgets": {
            share.budget.name: {"billed": 7, "open": 0, "lied": 0, "spent": 7, "reserved": 0} for share in SHARES
        },
        "seen": {
            share.budget.name: {
                "limit": 10,
                "looks": 1500,
                "highest": 9,
                "highest_percent": 90.0,
                "most_waiting": 4,
                "breaches": ["reserved 0 and spent 0.000011 of 0.00001"],
            }
            for share in SHARES
        },
        "refused": {"globex": 3},
        "raised": 2,
        "moves": {
            "jobs": 20,
            "moved": 9,
            "succeeded_elsewhere": 8,
            "left_because": {"rejected": 5, "over_budget": 4},
            "charged_twice": 1,
            "made_by_wrong": 0,
        },
    },
    "broken": [],
}
FAILOVER: dict[str, Any] = {
    "machine": "2 cores of a machine",
    "versions": "Python 3",
    "date": "2026-01-01",
    "busy": 2.5,
    "scene": "line",
    "jobs": 200,
    "accepted": 199,
    "ends": {"succeeded": 180, "submission_unknown": 2},
    "bought_twice": 12,
}

SAFE: dict[str, Any] = {
    **{name: RUN[name] for name in ("machine", "versions", "date", "busy")},
    "jobs": 2000,
    "milliseconds": {"disk": {"record": [0.5, 1.0], "intent": [0.25, 0.75], "id": [0.3, 0.8]}},
}

GONE: dict[str, Any] = {
    **{name: RUN[name] for name in ("machine", "versions", "date", "busy")},
    "jobs": 100,
    "gap_seconds": 0.5,
    "bought": 200,
    "up": {"seconds": [3.0, 4.0, 5.0], "succeeded": 100, "moved": 0},
    "gone": {"seconds": [4.5, 6.0, 9.0], "succeeded": 100, "moved": 99},
}

CELL = {"point": "intent_written", "provider": "nextry", "end": "succeeded", "purchases": 1, "clocks": "production"}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder as the runs leave it: each kind of run once, and one that was skipped."""
    mild = {**RUN, "options": {**RUN["options"], "common_only": True, "contender": "naive"}}
    cut = {**RUN, "options": {**RUN["options"], "kinds": ["power_cut"], "fsync": "everysec"}}
    for name, run in {
        "a": RUN,
        "b": mild,
        "c": cut,
        "e": SPREAD,
        "f": SPREAD,
        "d": {"skipped": "no namespaces"},
    }.items():
        (tmp_path / f"chaos-{name}.json").write_text(json.dumps(run))
    cells = [{**CELL, "moved_seconds": seconds, "ended_seconds": -1} for seconds in (2.0, 4.0)]
    for name in ("crash-matrix", "crash-matrix-replica"):
        (tmp_path / f"{name}.json").write_text("".join(f"{json.dumps(cell)}\n" for cell in cells))
    for seed, safe, lost in ((2, "disk", 17), (1, "disk", 16), (1, "replica", 0), (1, "celery", 3)):
        played = {**FAILOVER, "seed": seed, "safe": safe, "lost": lost}
        (tmp_path / f"failover-line-{safe}-{seed}.json").write_text(json.dumps(played))
    (tmp_path / "safe-submits.json").write_text(json.dumps(SAFE))
    (tmp_path / "first-gone.json").write_text(json.dumps(GONE))
    return tmp_path


def test_the_contracts_have_a_table_of_their_own(results: Path) -> None:
    """Over all seeds, with the bill; and none of these runs stands among the others."""
    made = tables(results)
    assert "| replay | 180 | 178 | 14 | 12 | 2 | 4 | 0 |" in made["contracts"]
    assert "All that must be zero is: yes." in made["contracts"]
    assert "| guild/default | 2.500000 | 0.140000 | 0.000000 | 2.360000 | 0.140000 |" in made["contracts"]
    assert "| all | 2.501000 | 0.140000 | 0.000000 | 2.361000 | 0.140000 |" in made["contracts"]
    assert "Went on at one: 18, of them 16 succeeded there." in made["contracts"]
    assert "`rejected` 10, `over_budget` 8. Charged twice by a fallback: 2." in made["contracts"]
    assert made["chaos"].count("seed 7") == 1


def test_budgets_and_tenants_have_a_table(results: Path) -> None:
    """Each budget of each seed, with its looks and those above its limit; a run of an earlier release is left out."""
    old = {name: value for name, value in SPREAD.items() if name != "money"}
    (results / "chaos-old.json").write_text(json.dumps(old))

    made = tables(results)["budgets"]

    assert "| acme | 0.000014 | 0.000000 | 0.000000 | 0.000014 | 0.000000 |" in made
    figures = "0.000010 | 0.000009 | 90.0 | 1,500 | **1** | 3 | 4 | 0.000007 | 0.000007 | 0.000000 |"
    assert made.count(f"| globex | globex, all time, refuses | 7 | {figures}") == 2
    assert "| nextry | nextry/default, all time, waits | 7 |" in made
    assert "Jobs with a fallback: 40." in made


def test_a_provider_that_is_gone_has_a_table(results: Path) -> None:
    """With how much longer the jobs took."""
    assert "| is gone | 100 | 99 | 4.5 / 6.0 / 9.0 | 1.50 |" in tables(results)["first gone"]


def test_every_run_stands_in_its_table(results: Path) -> None:
    """With what was lost, bought twice and ended otherwise, however bad it looks."""
    made = tables(results)

    assert "| intent written | 1 | 2 | succeeded | 1 | 3.0 / 4.0 | - |" in made["crash matrix"]
    assert "seed 7" in made["chaos"]
    assert (
        "| after a kill, moving again, Redis there: p50 / p95 / max [s] | 9.0 / 14.0 / 15.5 (12 jobs) |"
        in made["chaos"]
    )
    for row in (
        "bought twice** | **2**",
        "their caller got no answer | **1**",
        "ended otherwise | 3",
        "zero is | no",
        "1,200",
    ):
        assert all(row in made[name] for name in ("chaos", "comparison", "power cuts"))
    assert "Celery, its own settings, seed 7" in made["comparison"]
    assert "`appendfsync everysec`" in made["power cuts"]
    assert "wait in line | `disk` | 1, 1 | 180, 180 | 2, 2 | **16, 17** | **12, 12** |" in made["failovers"]
    assert "| `replica` | 1 | 180 | 2 | **0** | **12** |" in made["failovers"]
    assert "| plain Celery | 1 | 180 | 2 | **3** | **12** |" in made["failovers"]
    assert made["crash matrix over a replica"] == made["crash matrix"]
    assert "| disk | 0.50 / 1.00 | 0.25 / 0.75 | 0.30 / 0.80 |" in made["safe submits"]


@pytest.mark.parametrize(
    ("day", "says"), [("2026-01-02", "Python 3. 2026-01-01 and 2026-01-02."), ("2026-01-03", "different machines")]
)
def test_runs_that_go_on_at_midnight_stand_together(results: Path, day: str, says: str) -> None:
    """Those of other days do not."""
    path = results / "failover-line-disk-1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "date": day}))

    assert says in tables(results)["failovers"]


def test_the_page_has_a_place_for_every_table(results: Path) -> None:
    """Written twice, it is the same; what stands around the tables stays."""
    made = tables(results)
    pages = once = {path: path.read_text() for path in (PAGE, *PAGES.values())}
    for name, text in made.items():
        once = {**once, (at := PAGES.get(name, PAGE)): written(once[at], name, text)}
    twice = once
    for name, text in made.items():
        twice = {**twice, (at := PAGES.get(name, PAGE)): written(twice[at], name, text)}

    assert once == twice
    for path, page in pages.items():
        assert once[path].startswith(page.partition("<!--")[0])
    assert "1,200" in once[PAGE]
    assert "1,500" in once[PAGES["budgets"]]


def test_a_page_without_a_place_is_refused() -> None:
    """It names the lines that are missing."""
    with pytest.raises(ValueError, match="<!-- chaos: begin -->"):
        written("a page", "chaos", "a table")
