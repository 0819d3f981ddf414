"""A contact sheet as a person sees it: in a real browser, from a file and over HTTP, small and large."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from bide.bulk.sheet.rows import PAGE_ROWS
from bide.bulk.sheet.writer import write_sheet
from tests.background import served
from tests.browser.chromium import Page
from tests.browser.contrast import contrasts, too_faint
from tests.integration.sheet_stage import HOSTILE, RUN, Line, Stage, line, picture, stage

pytestmark = pytest.mark.browser

#: Elements whose words must be read.
WORDS = (
    *(".kind", "h1", "dt", "dd", ".codes li", ".filter label span", ".filter b", ".prompt", ".small", ".id", ".tag"),
    *(".failed .reason b", ".unconfirmed .reason b", ".canceled .reason b", ".reason > span", ".more", ".small a"),
)

#: The tiles that are seen, by row.
SEEN = "[...document.querySelectorAll('.tile')].filter(it => it.offsetParent).map(it => it.id)"


@pytest.fixture(scope="module", name="small")
def _small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A run of 30 rows, of which a third did not succeed."""
    with _sheet(tmp_path_factory.mktemp("small"), rows=30) as made:
        yield made


@pytest.fixture(scope="module", name="large")
def _large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A run of 5,000 rows."""
    with _sheet(tmp_path_factory.mktemp("large"), rows=5000) as made:
        yield made


@contextmanager
def _sheet(folder: Path, *, rows: int) -> Iterator[Stage]:
    """The contact sheet of a run with so many rows."""
    with stage(folder) as made:
        made.finish(_lines(made, rows))
        write_sheet(made.storage, RUN)
        yield made


def _lines(made: Stage, rows: int) -> Iterator[Line]:
    wide, tall = made.put("2026/11/22/a/0.png", picture(640, 400)), made.put("2026/11/22/a/1.png", picture(300, 500))
    states = {0: "failed", 5: "unconfirmed", 8: "canceled"}
    for row in range(1, rows + 1):
        state, prompt = states.get(row % 10, "succeeded"), HOSTILE if row == 3 else f"a fox, seen {row} times"
        outputs = (wide, tall) if row % 7 == 0 else (tall,) if row % 2 else (wide,)
        yield line(row, *(outputs if state == "succeeded" else ()), state=state, prompt=prompt)


@pytest.fixture(name="address")
def _address(small: Stage) -> Iterator[str]:
    """The store's files over plain HTTP, as a public bucket gives them."""
    handler = partial(_Quiet, directory=str(small.folder / "objects"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, served(server):
        yield f"http://127.0.0.1:{server.server_port}/results/runs/{RUN}/index.html"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base has it
        """Nothing."""


def test_opens_from_a_file(tab: Page, small: Stage) -> None:
    """All rows are there, every thumbnail is drawn, nothing is asked for, nothing complains."""
    tab.open(small.page.as_uri())

    assert tab.evaluate(SEEN) == [f"row-{row}" for row in range(1, 31)]
    assert tab.evaluate("[...document.images].every(it => it.complete && it.naturalWidth > 100)")
    assert [address for address in tab.requests if not address.startswith(("data:", "file:"))] == []
    assert len([address for address in tab.requests if address.startswith("file:")]) == 1
    assert tab.trouble == []


def test_opens_from_a_store(tab: Page, address: str) -> None:
    """A sheet opens over HTTP as from a file, and a tile leads to its original."""
    tab.open(address)
    tab.requests.clear()
    target = tab.evaluate("document.querySelector('#row-1 a').href")
    tab.open(target)

    assert tab.evaluate("document.images[0].naturalWidth") == 300
    assert "/results/2026/11/22/a/1.png" in target


def test_hostile_prompt_does_nothing(tab: Page, small: Stage) -> None:
    """It is read, and does not run."""
    tab.open(small.page.as_uri())

    assert tab.evaluate("document.title") == RUN
    assert tab.evaluate("document.querySelector('#row-3 .prompt').textContent") == HOSTILE
    assert tab.evaluate("document.querySelector('#row-3 .prompt').title") == HOSTILE


def test_script_that_slipped_in_would_not_run(tab: Page, small: Stage, tmp_path: Path) -> None:
    """The page's own policy holds, should a prompt ever get past the escaping."""
    slipped = tmp_path / "index.html"
    slipped.write_text(small.read().replace("</header>", "<script>document.title = 'taken'</script></header>"))
    tab.open(slipped.as_uri())

    assert tab.evaluate("document.title") == RUN
    assert "Content Security Policy" in tab.trouble[0]


def test_states_are_filtered_by_keyboard(tab: Page, small: Stage) -> None:
    """The choices are a radio group: arrow keys move through it, the tiles follow."""
    tab.open(small.page.as_uri())
    tab.evaluate("document.querySelector('.filter input').focus()")
    for _ in range(2):
        tab.key("ArrowRight", 39)

    assert tab.evaluate("document.activeElement.value") == "failed"
    assert tab.evaluate(SEEN) == ["row-10", "row-20", "row-30"]
    assert tab.evaluate("document.querySelector('#row-10 .reason').textContent") == "rejectedrefused: row 10"


def test_prompts_are_searched(tab: Page, small: Stage) -> None:
    """What is typed narrows the page; where nothing is left, it says so."""
    tab.open(small.page.as_uri())
    field, entered = "document.querySelector('.find input')", "new Event('input', {bubbles: true})"

    tab.evaluate(f"{field}.value = 'seen 12 TIMES'; {field}.dispatchEvent({entered})")
    assert tab.evaluate(SEEN) == ["row-12"]
    tab.evaluate(f"{field}.value = 'a badger'; {field}.dispatchEvent({entered})")
    assert tab.evaluate(SEEN) == []
    assert tab.evaluate("document.querySelector('.none').offsetParent !== null")


def test_without_script_all_rows_are_seen(tab: Page, small: Stage) -> None:
    """And no choice is offered that would do nothing."""
    tab.open(small.page.as_uri(), script=False)
    seen = Image.open(io.BytesIO(tab.picture()))
    tab.open(small.page.as_uri())

    assert len(set(seen.convert("RGB").resize((64, 45)).get_flattened_data())) > 50
    assert 'class="filter" hidden' in small.read()


@pytest.mark.parametrize("width", [360, 800, 1600])
def test_fits_every_width(tab: Page, small: Stage, width: int) -> None:
    """Nothing sticks out, on a telephone as on a wide screen."""
    tab.open(small.page.as_uri(), width=width)

    assert tab.evaluate("document.documentElement.scrollWidth") == width
    columns = tab.evaluate("getComputedStyle(document.querySelector('.grid')).gridTemplateColumns.split(' ').length")
    assert columns == {360: 2, 800: 3, 1600: 7}[width]


@pytest.mark.parametrize("dark", [False, True])
def test_words_stand_out_in_light_and_dark(tab: Page, small: Stage, dark: bool) -> None:
    """Every text has the contrast that WCAG asks for (4.5 to 1), in both schemes."""
    tab.open(small.page.as_uri(), dark=dark)
    found = contrasts(tab, WORDS)

    assert len(found) > 5
    assert too_faint(found) == {}


def test_everything_has_a_name(tab: Page, small: Stage) -> None:
    """For those who listen: pictures tell their prompt, links and fields what they are for, states are words."""
    tab.open(small.page.as_uri())

    assert tab.evaluate("[...document.images].every(it => it.alt)")
    assert tab.evaluate("[...document.links].every(it => it.getAttribute('aria-label') || it.innerText.trim())")
    assert tab.evaluate("[...document.querySelectorAll('input')].every(it => it.labels.length)")
    assert tab.evaluate(
        "[...document.querySelectorAll('.tile')].every(it => it.textContent.includes(it.dataset.state))"
    )
    assert tab.evaluate("document.documentElement.lang") == "en"


@pytest.mark.timeout(600)
def test_large_run_is_turned_page_by_page(tab: Page, large: Stage) -> None:
    """5,000 rows: each page has its share, from the first to the last by its links; the failures are by themselves."""
    tab.open(large.page.as_uri())
    assert len(tab.evaluate(SEEN)) == PAGE_ROWS

    seen = set(tab.evaluate(SEEN))
    for number in range(2, 26):
        tab.open(tab.evaluate(f"document.querySelector('.pager [aria-label=\"Page {number}\"]').href"))
        seen |= set(tab.evaluate(SEEN))
        assert tab.trouble == []
    assert len(seen) == 5000

    tab.open(tab.evaluate("document.querySelector('.switch').href"))
    states = json.loads(
        tab.evaluate("JSON.stringify([...document.querySelectorAll('.tile')].map(it => it.dataset.state))")
    )
    assert len(states) == PAGE_ROWS
    assert set(states) == {"failed", "unconfirmed", "canceled"}
