"""Flower on a laptop and on a phone: nothing that is on its pages is hidden."""

from __future__ import annotations

import pytest

from tests.browser.operator import PARTS, Operator
from tests.integration.caller import Caller, failure, image, succeeded

#: What sticks out of the window, or is wider than what shows it.
_CUT = """[document.documentElement, ...document.querySelectorAll('body *')].filter(it =>
    it.getClientRects().length && it.clientWidth > 1 && !it.matches('svg, svg *, input, select')
    && (it === document.documentElement || getComputedStyle(it).overflowX !== 'visible')
    && it.scrollWidth > it.clientWidth + 1).map(it => `${it.tagName}.${it.className}: ${it.innerText.slice(0, 80)}`)"""

pytestmark = [pytest.mark.browser, pytest.mark.integration]


@pytest.mark.parametrize("width", [360, 1400])
def test_nothing_is_cut(operator: Operator, caller: Caller, width: int) -> None:
    """Neither wide nor on a phone: no page scrolls sideways, and no element hides a part of what is in it."""
    long = caller.submit(image("a very long word: " + 300 * "x", metadata={"note": 300 * "y"}))
    waiting = caller.submit(image("[fault:never_finishes] a wide bridge"))
    refused = caller.submit(image(params={"modelID": 200 * "m", "width": 300 * "w"}))
    succeeded(long)
    failure(refused)
    for job, state in ((long, "SUCCESS"), (refused, "FAILURE"), (waiting, "RETRY")):
        operator.sees_task(job.id, {"Status": state})
    jobs = [f"/task/{job.id}" for job in (long, waiting, refused)]

    for page in ("/", "/tasks", "/broker", *jobs):
        operator.look(page, width=width)
        assert operator.tab.evaluate(_CUT) == [], page
    for link in operator.workers():
        operator.look(link, width=width)
        for name in PARTS:
            operator.turn_to(name)
            assert operator.tab.evaluate(_CUT) == [], (link, name)
    caller.app.control.revoke(waiting.id)
