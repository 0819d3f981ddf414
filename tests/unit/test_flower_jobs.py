"""A job's page in Flower: what the ledger knows of the job beside Celery's events, over a ledger in memory."""

from __future__ import annotations

import json

import pytest

from bide.contract import JobState
from config.flower_tasks import MAY_BE_PAID
from config.logging import register_secrets
from tests.contract.ledger_stage import ACCOUNT, Stage
from tests.unit.atelier import ACCEPTED, BASE, STATUS, Atelier, atelier
from tests.unit.flower_world import PAGES, URIS, FlowerWorld

__all__ = ["atelier"]

HOSTILE = "\"><script>alert(1)</script> {{ 7 * 7 }} ' & <b>"


@pytest.fixture(name="flower")
def _flower(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> FlowerWorld:
    """A Flower whose settings have an address of the pages."""
    return FlowerWorld(stage.server, monkeypatch, BIDE_PAGES__URL=f"{PAGES}/")


def test_a_page_says_what_the_ledger_knows(flower: FlowerWorld, stage: Stage) -> None:
    """Metadata, account, the provider's id, polls, money, why it waits and what to do; and what the events say."""
    stage.running("a", metadata={"order": "A-7", "tenant": {"name": "acme"}})
    flower.waits("a")

    facts = flower.page("a").facts

    assert facts["Metadata"] == 'order: A-7 tenant: {"name": "acme"}'
    assert (facts["Account"], facts["Provider's id"], facts["Polls"]) == ("photogpt/default", "p-a", "0")
    assert (facts["State"], facts["Money"]) == ("running", "bought, as p-a")
    assert "the provider is at work on it" in facts["Why"]
    assert facts["What to do"].startswith("start a worker and a poller (these lines of the Procfile): none runs")
    assert facts["Next"].endswith(" UTC: poll")
    assert (facts["Status"], facts["Name"], facts["UUID"]) == ("RETRY", "bide.generate", "a")
    assert facts["Result"] == "waits at the provider"
    assert facts["Keyword arguments"] == "photogpt images.generation: fox"


def test_a_page_has_lane_and_cost(flower: FlowerWorld, stage: Stage) -> None:
    """Where a job has a lane, and its provider says what it charges."""
    stage.running("a")
    stage.server.hset(f"bide:{{{ACCOUNT}}}:job:a", mapping={"cost": "0.025 USD", "lane": "m1"})
    flower.waits("a")
    facts = flower.page("a").facts
    assert (facts["Cost"], facts["Lane"]) == ("0.025 USD, as the provider says", "m1")


def test_a_job_in_line_says_why_it_waits(flower: FlowerWorld, stage: Stage) -> None:
    """Not that it waits somewhere."""
    stage.running("first")
    stage.open("a")
    stage.ledger.accounts.pause(ACCOUNT, reason="no credit", by="bide")
    flower.waits("a")

    page = flower.page("a")

    assert page.facts["State"] == "queued"
    assert "no credit" in page.facts["Why"]
    assert "bide resume photogpt default" in page.facts["What to do"]
    assert "<code>bide resume photogpt default</code>" in page.text
    assert page.facts["Money"] == "not bought"


def test_progress_is_on_the_page_and_in_the_row(atelier: Atelier, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the last poll has brought it; an older one is gone."""
    atelier.reply("POST", f"{BASE}/works", ACCEPTED)
    for fraction in (0.1, 0.5):
        atelier.reply("GET", STATUS, {"state": "painting", "fraction": fraction, "position": 3})
    atelier.submit()
    flower = FlowerWorld(atelier.server, monkeypatch)
    flower.waits("a", what="atelier paint: fox")
    for percent in (10, 50):
        atelier.poll(after_seconds=60)
        progress = f"{percent}% done, 3 before it in the provider's queue"

        assert flower.page("a").facts["Progress"] == progress
        assert [row["result"] for row in flower.rows()] == [f"waits at the provider: {progress}"]


def test_an_unconfirmed_job_says_first_that_it_may_be_paid_for(flower: FlowerWorld, stage: Stage) -> None:
    """On its page, in its row, and to the search."""
    stage.unconfirmed("a")
    flower.failed("a", "submission_unknown", "no answer; it may have been accepted")

    page = flower.page("a")
    [row] = flower.rows('"do not send again"')

    assert page.facts["Careful"] == MAY_BE_PAID
    assert page.facts["What to do"].startswith("settle it: bide unconfirmed list --candidates")
    for result in (page.facts["Result"], row["result"]):
        assert result == f"submission_unknown: {MAY_BE_PAID}. no answer; it may have been accepted"


def test_a_finished_job_links_to_its_page_and_its_objects(flower: FlowerWorld, stage: Stage) -> None:
    """The pages sign an object's address when it is opened: Flower has no key of the store."""
    record, token = stage.storing("a")
    result = json.dumps({"outputs": [{"uri": uri} for uri in URIS]})
    assert stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result=result)
    flower.succeeded("a", *URIS)

    page = flower.page("a")
    [row] = flower.rows()

    objects = [f"{PAGES}/objects/2026/11/22/a/{number}.png" for number in (0, 1)]
    assert page.facts["Result"] == " ".join(URIS)
    assert [link for link in page.links if PAGES in link] == [f"{PAGES}/jobs/a", *objects]
    assert row["result"] == ", ".join(URIS)
    assert row["job_page"] == f"{PAGES}/jobs/a"
    assert row["objects"] == [[uri, address] for uri, address in zip(URIS, objects, strict=True)]


def test_without_an_address_of_the_pages_nothing_links_there(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that leads nowhere is worse than none."""
    flower = FlowerWorld(stage.server, monkeypatch)
    flower.succeeded("a", *URIS)

    page, [row] = flower.page("a"), flower.rows()

    assert page.facts["Result"] == " ".join(URIS)
    assert [link for link in page.links if "/jobs/" in link or "/objects/" in link] == []
    assert (row["job_page"], row["result"]) == ("", ", ".join(URIS))
    assert [address for _, address in row["objects"] if address] == []


def test_what_callers_write_is_text(flower: FlowerWorld, stage: Stage) -> None:
    """Metadata, descriptions and messages are no HTML, and a job's id no path."""
    stage.running("a", metadata={HOSTILE: HOSTILE})
    flower.waits("a", what=f"photogpt images.generation: {HOSTILE}")
    flower.failed("../b?c", "rejected", HOSTILE)

    page = flower.page("a")

    assert "<script>alert" not in page.text
    assert HOSTILE in page.facts["Metadata"]
    assert {row["job_page"] for row in flower.rows()} == {f"{PAGES}/jobs/a", f"{PAGES}/jobs/..%2Fb%3Fc"}


def test_secrets_are_masked(flower: FlowerWorld, stage: Stage) -> None:
    """Also where a caller put one into its metadata, or a provider into its message."""
    register_secrets(["hush-of-this-test"])
    stage.running("a", metadata={"note": "key hush-of-this-test", "api_key": "short"})
    stage.server.hset(f"bide:{{{ACCOUNT}}}:job:a", "note", "bad key hush-of-this-test")
    flower.waits("a")

    texts = flower.page("a").text + str(flower.rows())

    assert "hush-of-this-test" not in texts
    assert "note: key ***" in texts
    assert "api_key: ***" in texts


def test_a_job_that_flower_has_no_event_of_has_its_page(flower: FlowerWorld, stage: Stage) -> None:
    """Flower was started later, or has forgotten it: the ledger knows it, and it can be revoked."""
    stage.running("a")

    page = flower.page("a")

    assert (page.status, page.facts["State"], page.facts["Status"]) == (200, "running", "UNKNOWN")
    assert page.facts["Keyword arguments"] == "photogpt images.generation: a red fox"
    assert 'id="task-revoke"' in page.text
    assert flower.page("nothing").status == 404


def test_a_job_without_a_record_says_so(flower: FlowerWorld) -> None:
    """A row's record goes with its run: what the events say is still there."""
    flower.succeeded("run-1.7", URIS[0])

    page = flower.page("run-1.7")

    assert page.facts["State"].startswith("The ledger has no record of it")
    assert (page.facts["Result"], page.facts["Status"]) == (URIS[0], "SUCCESS")
    assert f"{PAGES}/jobs/run-1.7" in page.links


def test_a_refused_request_says_what_to_do(flower: FlowerWorld) -> None:
    """It never had a record: the failure's code says enough."""
    flower.failed("a", "invalid_request", "params.modelID: is required")
    assert flower.page("a").facts["What to do"] == "mend the request and submit it again; nothing was bought"


def test_a_job_that_waits_for_another_says_for_which(flower: FlowerWorld, stage: Stage) -> None:
    """By the same idempotency key: the facts are the other's."""
    stage.running("first", idempotency_key="k")
    stage.arrive("second", idempotency_key="k")
    flower.waits("second")

    page, [row] = flower.page("second"), flower.rows()

    assert page.facts["Waits for"] == "job first, which has the same idempotency key"
    assert page.facts["Provider's id"] == "p-first"
    assert row["result"] == "waits for the result of job first, which has the same idempotency key"


def test_another_task_has_flowers_own_page(flower: FlowerWorld) -> None:
    """A caller's task, or a cancel."""
    flower.received("a", name="orders.done")
    page, [row] = flower.page("a"), flower.rows()
    assert page.facts["Name"] == "orders.done"
    assert "State" not in page.facts
    assert row["job_page"] == ""


def test_a_bug_keeps_its_traceback(flower: FlowerWorld, stage: Stage) -> None:
    """It is all that describes it."""
    stage.running("a")
    flower.received("a")
    flower.event("failed", "a", exception="KeyError('x')", traceback="Traceback of x")
    assert flower.page("a").facts["Traceback"] == "Traceback of x"
