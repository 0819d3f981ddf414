"""Polls that learn, end to end: after some jobs of a kind the next ones take fewer polls."""

from __future__ import annotations

from statistics import mean

import pytest

from bide.ledger import AccountName, Ledger
from bide.polling.duration_model import DurationModel
from tests.integration.caller import Caller, image, marker, succeeded
from tests.integration.rig import LATENCY_SECONDS, Rig
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("rig")]

#: An account that no other test teaches.
ACCOUNT = "learning"


def polls_of(caller: Caller, jobs: int) -> list[int]:
    """The polls that each of some jobs took, all at once."""
    marked = marker()
    results = [caller.submit(image(f"{marked} {number}", account=ACCOUNT)) for number in range(jobs)]
    return [succeeded(result)["polls"] for result in results]


def test_polls_fall_after_learning(caller: Caller, rig: Rig) -> None:
    """The account's plan asks after 0.25, 0.75, 1.75 s, its jobs take 1 s within 30 %: learned, most take one poll."""
    before = mean(polls_of(caller, 12))
    eventually(lambda: mean(polls_of(caller, 12)) < 0.75 * before, what="jobs take three quarters of the polls")

    with rig.server() as server:
        texts = Ledger(server).accounts.duration_models(AccountName("photogpt", ACCOUNT))
    durations = DurationModel.from_text(texts["images.generation"]).durations
    half, most = durations.quantiles_seconds(0.5, 0.95)
    assert durations.jobs >= 24
    assert 0.5 * LATENCY_SECONDS < half < 2 * LATENCY_SECONDS
    assert most < 4 * LATENCY_SECONDS
    of_lane = DurationModel.from_text(texts[f"images.generation {image()['params']['modelID']}"]).durations
    assert of_lane.jobs == durations.jobs, "all of these jobs are of one model, which is their lane"
