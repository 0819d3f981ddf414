"""The pages for people as they see them: in a real browser, light and dark, wide and on a phone."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.browser.chromium import Page
from tests.browser.contrast import contrasts, too_faint
from tests.browser.pages_stage import HOSTILE, RUN, Filled, PagesRig, Visitor, fill
from tests.integration.caller import Caller, image, succeeded
from tests.integration.rig import KEYS
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

#: Elements whose words must be read.
WORDS = (
    *(
        ".brand",
        ".top nav a",
        ".count",
        ".user",
        "h1",
        "h2",
        "h3",
        "label > span",
        "input",
        "button",
        ".button",
        "summary",
    ),
    *(
        ".prompt",
        ".small",
        ".id",
        ".pill.succeeded",
        ".pill.failed",
        ".pill.unconfirmed",
        ".pill.running",
        ".pill.paused",
    ),
    *(".tag", ".tag span", ".stand-in", ".files", ".todo p", "dt", "dd", ".uri", ".timeline .after", ".timeline b"),
    *(".candidates p", ".lead", ".problem", ".danger", "code", "a"),
)


@pytest.fixture(scope="module", name="rig")
def _rig(tmp_path_factory: pytest.TempPathFactory, tab: Page) -> Iterator[PagesRig]:  # noqa: ARG001 - without a browser none of this starts
    """A deployment of their own."""
    with PagesRig(tmp_path_factory.mktemp("pages")) as rig:
        yield rig


@pytest.fixture(scope="module", name="filled")
def _filled(rig: PagesRig, tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """Its jobs."""
    with Caller(rig.redis.url) as caller:
        return fill(rig, caller, tmp_path_factory.mktemp("rows"))


@pytest.fixture(scope="module", name="visitor")
def _visitor(rig: PagesRig, tab: Page, filled: Filled) -> Visitor:  # noqa: ARG001 - there is something to see
    """An operator who looks at the pages."""
    return Visitor(tab, rig.pages.start()[1])


def paths(filled: Filled) -> list[str]:
    """One page of each kind."""
    jobs = [f"/jobs/{job}" for job in (filled.pair, filled.failed, filled.waiting, filled.unconfirmed)]
    return [
        *("/", "/?state=failed&code=generation_failed", *jobs, f"/jobs/{filled.unconfirmed}/attach", "/jobs/gone"),
        *("/unconfirmed?candidates=yes", "/runs", f"/runs/{RUN}", "/accounts", "/accounts/photogpt/default/pause"),
    ]


@pytest.mark.parametrize("width", [360, 800, 1600])
@pytest.mark.parametrize("dark", [False, True])
def test_every_page_fits_and_can_be_read(visitor: Visitor, filled: Filled, width: int, dark: bool) -> None:
    """Nothing sticks out, every word has the contrast that WCAG asks for, and the browser complains of nothing."""
    seen: set[str] = set()
    for path in paths(filled):
        visitor.look(path, width=width, dark=dark)
        assert visitor.tab.evaluate("document.documentElement.scrollWidth") == width, path
        found = contrasts(visitor.tab, WORDS)
        seen |= found.keys()
        assert too_faint(found) == {}, path
        trouble = [each for each in visitor.tab.trouble if "404" not in each and "409" not in each]
        assert trouble == [], path
    assert len(seen) > 30, sorted(set(WORDS) - seen)


def test_everything_has_a_name(visitor: Visitor, filled: Filled) -> None:
    """For those who listen: links, fields and pictures say what they are, headings are in order, states are words."""
    for path in paths(filled):
        visitor.look(path)
        tab = visitor.tab
        links = "[...document.links].filter(it => !it.closest('[aria-hidden]'))"
        assert tab.evaluate(f"{links}.every(it => it.getAttribute('aria-label') || it.innerText.trim())"), path
        assert tab.evaluate("[...document.images].every(it => it.hasAttribute('alt'))"), path
        fields = "[...document.querySelectorAll('input:not([type=hidden]), select')]"
        assert tab.evaluate(f"{fields}.every(it => it.labels.length)"), path
        assert tab.evaluate("document.documentElement.lang") == "en"
        assert tab.evaluate("document.querySelectorAll('h1').length") == 1, path


def test_thumbnails_are_drawn(visitor: Visitor) -> None:
    """Small pictures, from our own server."""
    visitor.look("/", height=1400)
    drawn = "[...document.querySelectorAll('.thumb img')].filter(it => it.complete && it.naturalWidth > 100).length"
    eventually(lambda: visitor.tab.evaluate(drawn) >= 5, what="the thumbnails have come")
    assert [url for url in visitor.tab.requests if not url.startswith((visitor.address, "data:"))] == []


def test_a_job_is_found_by_its_form(visitor: Visitor, filled: Filled) -> None:
    """Typed, sent, and shown: prompt and metadata."""
    visitor.look("/")
    visitor.tab.evaluate("document.querySelector('[name=prompt]').value = 'woodcut TWO'")
    visitor.tab.click(".filters button")
    jobs = "[...document.querySelectorAll('.job .id')].map(it => it.textContent)"
    eventually(lambda: visitor.tab.evaluate(jobs) == [filled.pair], what="one job is left")
    visitor.tab.click(".tag")
    eventually(lambda: len(visitor.tab.evaluate(jobs)) > 2, what="all jobs of that tenant are shown")
    assert "metadata=tenant%3Dacme" in visitor.tab.evaluate("location.search")


def test_an_original_opens_from_a_private_bucket(visitor: Visitor, filled: Filled) -> None:
    """By a click on the picture of a job."""
    visitor.look(f"/jobs/{filled.finished}")
    visitor.tab.click(".original")
    eventually(lambda: "X-Amz-Signature" in visitor.tab.evaluate("location.href"), what="the signed address opens")
    eventually(lambda: visitor.tab.evaluate("document.images[0]?.naturalWidth > 100"), what="the original is drawn")


def test_a_contact_sheet_leads_to_its_originals(visitor: Visitor) -> None:
    """Opened from its run, filtered by its own script, and followed to an original of the private bucket."""
    visitor.look(f"/runs/{RUN}")
    visitor.tab.click(".buttons a")
    tiles = "[...document.querySelectorAll('.tile')].filter(it => it.offsetParent).length"
    eventually(lambda: visitor.tab.evaluate(tiles) == 6, what="the sheet is there")
    assert visitor.tab.evaluate("[...document.images].every(it => it.complete && it.naturalWidth > 100)")
    text = visitor.text()
    assert all(words in text for words in (f"{RUN}.1 · 0.02", "sku W-0"))
    field, entered = "document.querySelector('.find input')", "new Event('input', {bubbles: true})"
    visitor.tab.evaluate(f"{field}.value = 'linocut'; {field}.dispatchEvent({entered})")
    assert visitor.tab.evaluate(tiles) == 1
    visitor.tab.evaluate(f"{field}.value = ''; {field}.dispatchEvent({entered})")

    visitor.tab.click("#row-2 .picture")
    eventually(lambda: "X-Amz-Signature" in visitor.tab.evaluate("location.href"), what="the signed address opens")
    eventually(lambda: visitor.tab.evaluate("document.images[0]?.naturalWidth > 100"), what="the original is drawn")


def test_a_sheet_can_do_nothing_in_our_name(visitor: Visitor) -> None:
    """A sheet's scripts have no origin and reach none of our pages: others may write to the bucket."""
    visitor.look(f"/objects/runs/{RUN}/index.html")
    assert visitor.tab.evaluate("self.origin") == "null"
    visitor.tab.trouble.clear()
    visitor.tab.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title = 1\">')")
    visitor.tab.evaluate("window.reached = 'nothing'; fetch('/').then(() => reached = 'ours', () => reached = 'no')")
    eventually(lambda: visitor.tab.evaluate("reached") == "no", what="the fetch is refused")
    assert visitor.tab.evaluate("document.title") == RUN


def test_hostile_prompt_does_nothing(visitor: Visitor) -> None:
    """It is read, and does not run; and a script that slipped in would not."""
    visitor.look("/?prompt=document.title")
    assert visitor.tab.evaluate("document.querySelector('.job .prompt').textContent") == HOSTILE
    assert visitor.tab.evaluate("document.title") == "Jobs · bide"
    visitor.tab.trouble.clear()
    slipped = "Object.assign(document.createElement('script'), {textContent: \"document.title = 'taken'\"})"
    visitor.tab.evaluate(f"document.body.append({slipped}); 1")
    assert visitor.tab.evaluate("document.title") == "Jobs · bide"
    assert "Content Security Policy" in visitor.tab.trouble[0]


def test_the_list_follows_what_happens(visitor: Visitor, rig: PagesRig) -> None:
    """A new job appears, and ends, without a reload; what is typed meanwhile stays."""
    visitor.look("/")
    visitor.tab.evaluate("window.same = true; document.querySelector('[name=prompt]').value = 'half a wo'")
    first = "document.querySelector('.job .prompt')?.textContent"
    with Caller(rig.redis.url) as caller:
        result = caller.submit(image("a heron at noon"))
        eventually(lambda: visitor.tab.evaluate(first) == "a heron at noon", what="the job appears")
        succeeded(result)
        pill = "document.querySelector('.job .pill').textContent"
        eventually(lambda: visitor.tab.evaluate(pill) == "succeeded", what="its state follows")
    assert visitor.tab.evaluate("window.same")
    assert visitor.tab.evaluate("document.querySelector('[name=prompt]').value") == "half a wo"
    assert visitor.tab.trouble == []


def test_redis_that_is_away_is_shown(visitor: Visitor, rig: PagesRig) -> None:
    """A line at the top, which goes when it is back."""
    visitor.look("/")
    rig.redis.stop()
    try:
        shown = "!document.querySelector('.away').hidden"
        eventually(lambda: visitor.tab.evaluate(shown), what="the line is shown")
    finally:
        rig.redis.start()
    eventually(lambda: not visitor.tab.evaluate(shown), what="the line goes")


def test_without_script_all_is_there(visitor: Visitor, filled: Filled) -> None:
    """Only what follows by itself is missing."""
    visitor.tab.open(f"{visitor.address}/jobs/{filled.unconfirmed}", script=False)
    visitor.tab.open(f"{visitor.address}/jobs/{filled.unconfirmed}")
    assert "it waits for an operator" in visitor.text()


def test_an_unconfirmed_job_is_settled_by_hand(visitor: Visitor, rig: PagesRig, filled: Filled) -> None:
    """From the evidence to the button, asked in between: the job goes on to its result, and the page says by whom."""
    visitor.look("/unconfirmed?candidates=yes")
    [bought] = rig.purchases("a tea house by a lake")
    attach = f'.candidates a[href*="{bought["id"]}"]'
    assert "the submit" in visitor.text()
    visitor.tab.click(attach)
    eventually(lambda: visitor.tab.evaluate("!!document.querySelector('.settle')"), what="the question comes")
    assert visitor.tab.evaluate("document.querySelector('[name=provider_job_id]').value") == str(bought["id"])
    visitor.tab.click(".danger")
    assert rig.state(filled.unconfirmed) == "unconfirmed", "the browser asks for the tick first"
    visitor.tab.click("[name=sure]")
    visitor.tab.click(".danger")
    eventually(lambda: "Attached:" in visitor.text(), what="the job's page says so")
    eventually(lambda: "succeeded" in visitor.text(), what="the page follows to the result")
    assert f"attached as {bought['id']} by operator" in visitor.text()
    assert len(rig.purchases("a tea house by a lake")) == 1


def test_no_page_holds_a_secret(visitor: Visitor, rig: PagesRig, filled: Filled) -> None:
    """In none of its parts, fields and all."""
    secrets = [key for name, key in KEYS.items() if name.endswith("API_KEY")]
    secrets += [value for name, value in rig.environment().items() if "PASSWORD" in name or "SECRET" in name]
    for path in paths(filled):
        visitor.look(path)
        source = str(visitor.tab.evaluate("document.documentElement.outerHTML"))
        assert [secret for secret in secrets if secret in source] == [], path
    assert json.dumps(secrets) not in source
