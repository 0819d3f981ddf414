"""A poll that fails is not a job that fails; a submit that was surely not accepted is made again."""

from __future__ import annotations

from typing import Any

import pytest
from celery.result import AsyncResult

from tests.integration.caller import Caller, image, marker, succeeded
from tests.integration.rig import Rig

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig")]

MARK = marker()

POLLS = {
    "500": "[fault:500 operation=poll times=2]",
    "429": "[fault:429 operation=poll times=1 retry_after=1]",
    "connection dropped": "[fault:drop_before operation=poll times=2]",
    "a page under 200": "[fault:html_under_200 operation=poll times=2]",
    "half an answer": "[fault:half_json operation=poll times=2]",
    "no answer in time": "[fault:slow:4 operation=poll times=1]",
    "unknown status": "[fault:unknown_status times=2]",
    "not yet known": "[fault:not_found_first:1]",
    "done, empty once": "[fault:empty_once]",
}


@pytest.fixture(scope="module")
def polled(caller: Caller) -> dict[str, AsyncResult[Any]]:
    """All of them at once."""
    return {name: caller.submit(image(f"{MARK} {order}")) for name, order in POLLS.items()}


@pytest.mark.parametrize("name", POLLS)
def test_the_job_goes_on(name: str, polled: dict[str, AsyncResult[Any]], rig: Rig) -> None:
    """Whatever a poll comes to, the job is asked about again and succeeds, bought once."""
    result = succeeded(polled[name])

    assert result["polls"] >= 2
    assert len(rig.purchases(f"{MARK} {POLLS[name]}")) == 1


def test_a_key_refused_for_a_while(caller: Caller, rig: Rig) -> None:
    """A refused key while polling pauses the account and says so in the log; its jobs are not lost."""
    marked = marker()

    result = caller.submit(image(f"{marked} [fault:401 operation=poll times=2]", account="blocked"))

    assert succeeded(result)["polls"] >= 3
    assert len(rig.purchases(marked)) == 1
    assert "account.refused" in rig.poller.output()


@pytest.mark.parametrize("order", ["429 operation=submit times=2 retry_after=1", "503 operation=submit times=2"])
def test_a_submit_that_was_not_accepted_is_made_again(order: str, caller: Caller, rig: Rig) -> None:
    """After 429 and 503 the same submit is made again later: one purchase in the end."""
    marked = marker()

    result = caller.submit(image(f"{marked} [fault:{order}]", account="tripped"))

    succeeded(result)
    assert len(rig.purchases(marked)) == 1
