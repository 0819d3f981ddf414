"""An operator who looks at Flower in a browser, and reads what is drawn there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.browser.chromium import Page
from tests.integration.rig import FLOWER_PASSWORD, FLOWER_USER
from tests.integration.waiting import PATIENCE_SECONDS, eventually

#: Each row of a table as it is drawn, by the names (or else the words) of its columns.
_ROWS = """(selector => {
    const table = document.querySelector(selector);
    const names = [...table.tHead.rows[0].cells].map(cell => cell.dataset.column || cell.textContent.trim());
    const rows = [...table.tBodies[0].rows].filter(row => row.cells.length === names.length);
    return rows.map(row => Object.fromEntries(
        [...row.cells].map((cell, at) => [names[at], cell.innerText.replaceAll('\\n', '').trim()])));
})"""

#: What stands beside each word of a page about one task.
_FACTS = """Object.fromEntries([...document.querySelectorAll('dl dt')].map(
    it => [it.innerText.trim(), it.nextElementSibling.innerText.trim()]))"""

#: No table of DataTables is empty: one without rows has one that says so.
_FILLED = """[...document.querySelectorAll('#workers-table, #tasks-table')].every(
    it => it.querySelector('tbody td') && !it.innerText.includes('Loading'))"""

_INFO = "document.querySelector('#tasks-table_info').innerText"

_LINKS = "[...document.querySelectorAll('.worker-name-link')].map(it => it.pathname)"

#: The tabs of a worker's page; the last one lists its queues.
PARTS = ("broker", "tasks", "limits", "config", "system", "other", "pool", "queues")

Row = dict[str, str]


class Operator:
    """One tab before one Flower."""

    def __init__(self, tab: Page, address: str) -> None:
        self.tab, self.address = tab, address

    def log_in(self, *, password: str = FLOWER_PASSWORD) -> int:
        """Give name and password, as into the browser's own window; the HTTP code of what is shown then."""
        self.tab.open(self.address.replace("//", f"//{FLOWER_USER}:{password}@", 1))
        return self.tab.status

    def look(self, path: str, **window: Any) -> None:
        """Open a page, and wait until its tables are filled."""
        self.tab.open(f"{self.address}{path}", **window)
        assert self.tab.status == 200, self.text()
        eventually(lambda: self.tab.evaluate(_FILLED), what=f"{path} is filled")

    def text(self) -> str:
        """All words that can be seen."""
        return str(self.tab.evaluate("document.body.innerText"))

    def source(self) -> str:
        """The whole page as it stands now, hidden parts and all, fields with what is in them."""
        fields = self.tab.evaluate("[...document.querySelectorAll('input, textarea')].map(it => it.value).join('\\n')")
        return str(self.tab.evaluate("document.documentElement.outerHTML")) + str(fields)

    def rows(self, table: str) -> list[Row]:
        """The rows that are drawn now."""
        rows: list[Row] = self.tab.evaluate(f"{_ROWS}('{table}')")
        return rows

    def tasks(self) -> list[Row]:
        """The page of tasks, anew."""
        self.look("/tasks", width=1440)
        return self.rows("#tasks-table")

    def workers(self) -> list[str]:
        """Where the pages of workers are."""
        self.look("/")
        found: list[str] = eventually(lambda: self.tab.evaluate(_LINKS), what="the dashboard has links")
        return found

    def search(self, words: str) -> str:
        """Type words into the field above the tasks; what stands below the table once it has followed."""
        field = "document.querySelector('#tasks-table_filter input')"
        before = self.tab.evaluate(_INFO)
        self.tab.evaluate(f"{field}.value = {json.dumps(words)}; {field}.dispatchEvent(new Event('input'))")
        return eventually(
            lambda: now if (now := str(self.tab.evaluate(_INFO))) != before else "", what=f"the table follows {words}"
        )

    def turn_to(self, part: str) -> None:
        """On the page of a worker: press one of its tabs."""
        self.tab.click(f"#worker-tab-{part}")
        eventually(lambda: self.tab.evaluate(f"!!document.querySelector('#tab-{part}.active')"), what=f"{part} comes")
        shown = f"getComputedStyle(document.querySelector('#tab-{part}.active')).opacity === '1'"
        eventually(lambda: self.tab.evaluate(shown), what=f"the tab {part} is shown")

    def sees_task(self, job_id: str, facts: Mapping[str, str], *, seconds: float = PATIENCE_SECONDS) -> Row:
        """Look at a task's page again and again until it says so; all that it says then."""

        def matching() -> Row | None:
            self.tab.open(f"{self.address}/task/{job_id}")
            row: Row = self.tab.evaluate(_FACTS)
            return row if facts.items() <= row.items() else None

        return eventually(matching, what=f"the page of {job_id} says {facts}", within_seconds=seconds)
