"""`python -m tests.faults.report`: tables of docs/reliability.md and docs/money.md, of what runs left behind."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import click

from tests.faults.contract_table import contracts
from tests.faults.money_table import first_gone, money
from tests.faults.report_tables import (
    PLAIN,
    chaos,
    comparison,
    crash_matrix,
    failovers,
    lost_ledgers,
    power_cuts,
    receipt_costs,
    safe_submits,
)
from tests.integration.processes import ROOT

PAGE = ROOT / "docs" / "reliability.md"
#: The pages of the other tables, by their names.
PAGES = {"budgets": ROOT / "docs" / "money.md", "first gone": ROOT / "docs" / "fallback.md"}
RESULTS = ROOT / "build" / "reliability"

Result = dict[str, Any]


@click.command()
@click.option("--write", is_flag=True, help="Put the tables into their pages instead of showing them.")
def main(*, write: bool) -> None:
    """Make the tables; one that no result is there for stays as it is in the page."""
    made = tables(RESULTS)
    if not made:
        sys.exit(f"no results in {RESULTS}; make some with `make faults`")
    if write:
        for name, text in made.items():
            page = PAGES.get(name, PAGE)
            page.write_text(written(page.read_text(), name, text))
    else:
        click.echo("\n\n".join(made.values()))


def tables(folder: Path) -> dict[str, str]:
    """All tables that there are results for, by name."""
    runs = [run for path in sorted(folder.glob("chaos-*.json")) if "jobs" in (run := json.loads(path.read_text()))]
    cut = [run for run in runs if "power_cut" in run["options"]["kinds"]]
    mild = [run for run in runs if run["options"]["common_only"]]
    spread = [run for run in runs if run["options"].get("contracts")]
    paid = [run for run in spread if "money" in run]  # those of earlier releases have none
    others = [run for run in runs if run not in cut and run not in mild and run not in spread]
    full = [run for run in others if run["options"]["contender"] not in PLAIN]
    safe = folder / "safe-submits.json"
    receipts, gone = folder / "receipts.json", folder / "first-gone.json"
    made = {
        "crash matrix": crash_matrix(_cells(folder / "crash-matrix.json")),
        "crash matrix over a replica": crash_matrix(_cells(folder / "crash-matrix-replica.json")),
        "chaos": chaos(full),
        "contracts": contracts(paid),
        "budgets": money(paid),
        "first gone": first_gone(json.loads(gone.read_text())) if gone.exists() else "",
        "comparison": comparison(mild),
        "power cuts": power_cuts(cut),
        "failovers": failovers([json.loads(path.read_text()) for path in folder.glob("failover-*.json")]),
        "lost ledgers": lost_ledgers([json.loads(path.read_text()) for path in sorted(folder.glob("lost-*.json"))]),
        "receipts": receipt_costs(json.loads(receipts.read_text())) if receipts.exists() else "",
        "safe submits": safe_submits(json.loads(safe.read_text())) if safe.exists() else "",
    }
    return {name: text for name, text in made.items() if text}


def _cells(path: Path) -> list[Result]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def written(page: str, name: str, text: str) -> str:
    """`page` with `text` between the two lines of a table; raises `ValueError` where a line is missing."""
    lines = (f"<!-- {name}: begin -->", f"<!-- {name}: end -->")
    place = re.compile("(?<={})(.*)(?={})".format(*map(re.escape, lines)), re.DOTALL)
    if not place.search(page):
        raise ValueError(f"the page has no lines {' and '.join(lines)}")
    return place.sub(lambda _: f"\n\n{text}\n\n", page)


if __name__ == "__main__":
    main()
