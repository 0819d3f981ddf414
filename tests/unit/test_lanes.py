"""Lanes in a worker: the adapter names them, records have them, polls are timed by them, people see them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis

from bide.contract import GenerateRequest
from bide.ledger import AccountName, Claimed, Ledger, Record
from bide.polling.backoff import PollPlan
from bide.providers import find
from bide.providers.lanes import LANE_CHARACTERS, lane_of
from tests.contract.ledger_contract_lanes import refuse
from tests.contract.ledger_stage import ACCOUNT, Stage
from tests.unit.atelier import ACCEPTED, BASE, Atelier, AtelierAdapter, atelier
from tests.unit.command import Command
from workers.accounts import row_lane
from workers.services.learner import Learner

__all__ = ["atelier"]

IMAGES = "images.generation"
PLAN = PollPlan(2.0, 2.0, 30.0)
NOW = 1_700_000_000.0


def lane_named(text: str) -> str:
    """The lane of a request whose adapter names it so."""

    class Named(AtelierAdapter):
        def lane(self, operation: str, params: Any) -> str:
            return text

    return lane_of(Named(), "paint", {})


# What a lane is


@pytest.mark.parametrize(
    ("provider", "operation", "params", "lane"),
    [
        ("photogpt", IMAGES, {"modelID": "m1", "prompt": "a red fox"}, "m1"),
        ("photogpt", "videos.generation", {"modelID": "veo", "prompt": "a red fox"}, "veo"),
        ("photogpt", "images.upscaling", {"imageID": "i1"}, ""),
        ("photogpt", "models.train", {"modelID": "mine"}, ""),
        ("nextry", "generate_image", {"tool": "try-on"}, "try-on"),
        ("cyberphotobooth", "generate", {"mode": "style_sdxl_zero", "style": 7}, ""),
    ],
)
def test_lanes_of_providers(provider: str, operation: str, params: dict[str, Any], lane: str) -> None:
    """The model, the tool; none where nothing is known to depend on a param."""
    assert lane_of(find(provider), operation, params) == lane


@pytest.mark.parametrize("text", ["m" * 5000, "m" * 65, "fal-ai/" + "модель" * 20])
def test_a_long_name_is_cut_and_stays_itself(text: str) -> None:
    """Two long names with the same beginning are two lanes, each the same at every submit."""
    assert lane_named(text) == lane_named(text)
    assert len(lane_named(text)) == LANE_CHARACTERS
    assert lane_named(text) != lane_named(text + "x")
    assert lane_named(text).startswith(text[:40])


@pytest.mark.parametrize(
    ("text", "lane"),
    [("m\x1b[31m1", "m [31m1"), ("a\nb\tc", "a b c"), ("   ", ""), ("\u202eevil", "evil"), ("\ud800x", "x")],
)
def test_a_lane_is_one_printable_line(text: str, lane: str) -> None:
    """A caller's param can't move a terminal's cursor or forge a line."""
    assert lane_named(text) == lane


def test_an_adapter_that_breaks_has_no_lane() -> None:
    """Or gives something else than a text: the job goes by its operation."""

    class Broken(AtelierAdapter):
        def lane(self, operation: str, params: Any) -> str:
            return str(params["model"]["id"]) if operation == "paint" else 7  # type: ignore[return-value]  # a mistake

    assert [lane_of(Broken(), operation, {}) for operation in ("paint", "draw")] == ["", ""]


def test_the_lane_of_a_row() -> None:
    """A row that its submit will refuse has none: its params may be anything."""
    good = GenerateRequest(provider="photogpt", operation=IMAGES, params={"modelID": "m1", "prompt": "x"})
    assert row_lane(good) == "m1"
    assert row_lane(good.model_copy(update={"params": {"modelID": ["m1"]}})) == ""
    assert row_lane(good.model_copy(update={"provider": "nobody"})) == ""


def test_a_submit_notes_the_lane(atelier: Atelier) -> None:
    """The record of a job has the lane of its request, also where a client opened it."""
    atelier.reply("POST", f"{BASE}/works", ACCEPTED)
    atelier.submit("a", params={"brush": "oil"})
    assert (atelier.record().text("lane"), atelier.record().lane) == ("oil", "paint oil")
    atelier.submit("b")
    assert (atelier.record("b").text("lane"), atelier.record("b").lane) == ("", "")


# When jobs of a lane are polled


def ended(count: int, lane: str, *, age_seconds: float) -> list[Claimed]:
    """Jobs of a lane that were found to have ended at `NOW`, at that age."""
    submitted = NOW - age_seconds
    times = submitted, submitted + 0.95 * age_seconds, 0.0
    return [
        Claimed(f"{lane}{n}", 0.0, IMAGES, "p", "", True, 3, NOW + 900, 0.0, 0, *times, lane=lane) for n in range(count)
    ]


def first(learner: Learner, lane: str) -> float:
    """The usual first poll of a job of a lane."""
    return sorted(learner.poll_timing(ACCOUNT, IMAGES, PLAN, lane=lane).first() for _ in range(9))[5]


def known_lanes(server: redis.Redis, *lanes: str) -> None:
    """Jobs of these lanes were accepted."""
    server.hset("bide:{photogpt/default}:lanes", mapping={f"{IMAGES} {lane}": f"{NOW}" for lane in lanes})


def test_each_lane_is_polled_by_its_own_durations(stage: Stage) -> None:
    """A quick model and a slow one; a third, of which too little is known, goes by the whole operation."""
    known_lanes(stage.server, "quick", "slow", "new")
    learner = Learner(stage.ledger)
    for _ in range(2):
        learner.learn(ACCOUNT, [*ended(8, "quick", age_seconds=5), *ended(8, "slow", age_seconds=25)], NOW)
    another = Learner(Ledger(stage.server))
    another.refresh(ACCOUNT)
    for each in (learner, another):
        assert 4.5 < first(each, "quick") < 6.5
        assert 23 < first(each, "slow") < 30
        assert first(each, "new") == pytest.approx(first(each, ""), rel=0.2)
        assert first(each, "") < 23


def test_what_an_earlier_release_has_learned_goes_on(stage: Stage) -> None:
    """The model of the operation is used for its lanes until they have their own."""
    learner = Learner(stage.ledger)
    learner.learn(ACCOUNT, ended(12, "", age_seconds=20), NOW)
    assert set(stage.ledger.accounts.duration_models(ACCOUNT)) == {IMAGES}
    assert 19 < first(learner, "any") < 24


def test_a_lane_that_made_room_is_forgotten(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process keeps no model of a lane that the ledger has dropped: names come and go, memory stays."""
    monkeypatch.setattr("workers.services.learner.REFRESH_SECONDS", 0)
    known_lanes(stage.server, "old")
    learner = Learner(stage.ledger)
    learner.learn(ACCOUNT, ended(12, "old", age_seconds=20), NOW)
    stage.server.hdel("bide:{photogpt/default}:lanes", f"{IMAGES} old")
    stage.server.hdel("bide:{photogpt/default}:durations", f"{IMAGES} old")
    learner.refresh(ACCOUNT)
    assert set(learner._accounts[ACCOUNT].texts) == {IMAGES}
    assert 19 < first(learner, "old") < 24


# What people see


@pytest.fixture
def run(stage: Stage) -> Command:
    """`bide` over that ledger."""
    return Command(stage)


def test_explain_names_the_lane_and_its_breaker(stage: Stage, run: Command) -> None:
    """Why a job waits whose model alone is refused, and when it goes on."""
    refuse(stage, "a", "m1", after_seconds=30)
    document = json.loads(run("explain", "a", "--json").output)
    assert document["lane"] == "m1"
    assert document["why"][0] == "its lane m1: no submits for another 30 s: HTTP 503"
    assert (document["next"], document["next_at"]) == ("its lane may submit again", "2023-11-14T22:13:50+00:00")
    assert "  lane       m1" in run("explain", "a").output.splitlines()
    accounts = json.loads(run("jobs", "--json").output)["accounts"]
    assert accounts == {"photogpt/default": f"lane {IMAGES} m1: no submits for another 30 s: HTTP 503"}


def test_explain_says_whose_durations_count(stage: Stage, run: Command) -> None:
    """Those of the lane, where enough is known of it."""
    known_lanes(stage.server, "quick", "slow")
    learner = Learner(stage.ledger)
    learner.learn(ACCOUNT, [*ended(10, "quick", age_seconds=5), *ended(10, "slow", age_seconds=60)], NOW)
    for lane, basis in (("quick", "learned from 10 jobs"), ("new", "learned from 20 jobs")):
        record, token, attempt = stage.submitting(lane)
        stage.server.hset(f"bide:{{photogpt/default}}:job:{lane}", "lane", lane)
        stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id=lane, first_poll_seconds=2)
        polls_are = json.loads(run("explain", lane, "--json").output)["polls_are"]
        assert polls_are.startswith(basis)
        assert polls_are.endswith(" (lane quick)") is (lane == "quick")


def test_a_record_of_an_earlier_release_has_no_lane() -> None:
    """Its operation counts."""
    record = Record("a", AccountName("photogpt", "default"), {"op": IMAGES, "state": "queued"})
    assert record.lane == ""
