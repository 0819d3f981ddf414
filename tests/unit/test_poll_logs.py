"""What a poll logs that breaks: the name of its account, which the round has bound, and nothing else of the account."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from bide.ledger import Claimed
from bide.providers import find
from bide.providers.base import Account
from tasks.steps.ask import ask, cancel_there
from tests.unit.atelier import BASE, CANCEL, AtelierAdapter
from workers.services.event_loop import EventLoop
from workers.telemetry.step_log import StepLog

JOB = Claimed("j", 0.0, "images.generation", "p", "", True, 1, 2e9, 0.0, 0)
CREDENTIALS = Account("https://api.example", "a-key")


@pytest.fixture
def tools() -> Any:
    """A toolbox whose HTTP client breaks at each call."""

    async def call(*_: Any, **__: Any) -> None:
        raise RuntimeError("unforeseen")

    return SimpleNamespace(http=SimpleNamespace(call=call))


def logged(work: Any) -> dict[str, Any]:
    """The one line that `work` logs on the event loop while a round of an account is under way."""
    with StepLog("poll.round") as line, capture_logs([structlog.contextvars.merge_contextvars]) as lines:
        line.silent = True
        line.about(account="photogpt/default")
        EventLoop().run(work)
    [entry] = [dict(each) for each in lines]
    return entry


def test_a_poll_that_breaks(tools: Any) -> None:
    """It is no failed job, and its line names job and account."""
    entry = logged(ask(tools, find("photogpt"), CREDENTIALS, 0.0, JOB))
    assert (entry["event"], entry["account"], entry["job_id"]) == ("poll.broke", "photogpt/default", "j")


def test_a_cancel_that_breaks(tools: Any) -> None:
    """Its line names the provider's id of the job and the account."""
    ticket = replace(JOB.ticket, handle={"cancel_url": CANCEL})
    entry = logged(cancel_there(tools, AtelierAdapter(), Account(BASE, "a-key"), ticket))
    assert (entry["event"], entry["account"]) == ("cancel.not_answered", "photogpt/default")
    assert entry["provider_job_id"] == "p"
