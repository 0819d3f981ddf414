"""Flower's list of tasks, its search, its queues and its button Revoke, over a ledger in memory."""

from __future__ import annotations

import json
from typing import Any

import fakeredis
import pytest
import redis

from bide.contract import QUEUES
from bide.ledger import AccountName
from bide.ledger.processes import RunningProcess, note
from config.flower_tasks import MAY_BE_PAID, SUSPENDED
from tests.contract.ledger_stage import Clock, Stage
from tests.unit.flower_world import PAGES, URIS, FlowerWorld
from workers.flower.jobs import words
from workers.flower.views import LEDGER_AWAY


class CountingRedis(fakeredis.FakeRedis):
    """Counts round trips: commands, and pipelines as one each."""

    trips = 0

    def execute_command(self, *args: Any, **options: Any) -> Any:
        self.trips += 1
        return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]  # redis-py leaves it out

    def pipeline(self, *args: Any, **options: Any) -> Any:
        self.trips += 1
        return super().pipeline(*args, **options)


class AwayRedis(fakeredis.FakeRedis):
    """Answers nothing."""

    def execute_command(self, *_: Any, **__: Any) -> Any:
        raise redis.ConnectionError("gone")

    def pipeline(self, *_: Any, **__: Any) -> Any:
        raise redis.ConnectionError("gone")


@pytest.fixture(name="server")
def _server() -> CountingRedis:
    return CountingRedis(decode_responses=True, version=(7,))


@pytest.fixture(name="stage")
def _stage(server: CountingRedis) -> Stage:
    """Its ledger, with a clock to turn."""
    return Stage(server, Clock())


@pytest.fixture(name="flower")
def _flower(server: CountingRedis, monkeypatch: pytest.MonkeyPatch) -> FlowerWorld:
    """A Flower whose settings have an address of the pages."""
    return FlowerWorld(server, monkeypatch, BIDE_PAGES__URL=f"{PAGES}/")


# The list


def test_rows_say_where_waiting_jobs_are_for_one_pipeline(flower: FlowerWorld, stage: Stage) -> None:
    """Whatever their account, and however many there are; others cost nothing."""
    for number in range(20):
        stage.running(f"r-{number}", account=AccountName("photogpt", f"account-{number % 3}"))
        stage.open(f"q-{number}")
        flower.waits(f"r-{number}")
        flower.waits(f"q-{number}")
        flower.waits(f"gone-{number}")
    flower.rows()
    stage.server.trips = 0  # type: ignore[attr-defined]  # it counts

    rows = flower.rows()

    assert stage.server.trips == 1  # type: ignore[attr-defined]  # it counts
    found = {row["uuid"][0]: row["result"] for row in rows}
    assert found == {"r": "waits at the provider", "q": "waits in line", "g": SUSPENDED}
    assert len(rows) == 60


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"state": "queued", "note": "HTTP 429"}, "waits in line; last answer: HTTP 429"),
        ({"state": "submitting"}, "is being submitted"),
        ({"state": "running", "note": "processing"}, "waits at the provider: processing"),
        ({"state": "running", "note": "x", "progress": '{"left_seconds":7}'}, "waits at the provider: about 7 s left"),
        ({"state": "storing"}, "its result is being stored"),
        ({"state": "unconfirmed"}, f"{MAY_BE_PAID}; it waits for an operator"),
        ({"state": "canceled"}, "has ended: canceled"),
    ],
)
def test_words_for_each_state(fields: dict[str, str], expected: str) -> None:
    """Of a record, for a row."""
    assert words(fields) == expected


def test_a_redis_that_is_away_leaves_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """They show what the events say, and that the rest is missing."""
    flower = FlowerWorld(AwayRedis(decode_responses=True), monkeypatch, BIDE_PAGES__URL=PAGES)
    flower.waits("a")

    page, [row], queues = flower.page("a"), flower.rows(), flower.ask("/broker")

    assert LEDGER_AWAY in page.text
    assert page.facts["Status"] == "RETRY"
    assert row["result"] == SUSPENDED
    assert (queues.code, b"bide.poll" in queues.body) == (200, True)
    assert "may be paid for" in json.loads(flower.ask("/bide/jobs/a/revoke").body)["question"]


# The search


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("moderated", ["m"]),
        ("result:moderated", ["m"]),
        ('"naked people"', ["m"]),
        ("NAKED", ["m"]),
        ("credentials", ["u"]),
        ("state:FAILURE provider", ["u"]),
        ("KeyError", ["k"]),
        ("9.png", ["s"]),
        ("state:FAILURE", ["k", "u", "m"]),
        ("traceback", []),
    ],
)
def test_reasons_are_found(flower: FlowerWorld, search: str, found: list[str]) -> None:
    """Codes and messages of failures, as their rows show them, among all else that Flower finds."""
    flower.failed("m", "moderated", "the picture has naked people in it")
    flower.failed("u", "unauthorized", "the provider refused the credentials")
    flower.received("k")
    flower.event("failed", "k", exception="KeyError('x')", traceback="Traceback ...")
    flower.succeeded("s", "s3://results/9.png")

    assert [row["uuid"] for row in flower.rows(search)] == found


def test_a_reason_is_forgotten_with_the_failure(flower: FlowerWorld) -> None:
    """An operator has settled the job, and its task has succeeded after all."""
    flower.failed("a", "submission_unknown", "no answer")
    flower.event("succeeded", "a", result=repr({"outputs": [{"uri": URIS[0]}]}), runtime=0.1)
    assert flower.rows("submission_unknown") == []
    assert [row["uuid"] for row in flower.rows("0.png")] == ["a"]


# The queues


def test_all_queues_are_listed_while_nobody_serves_them(flower: FlowerWorld, stage: Stage) -> None:
    """That is when messages pile up; a page and its API say who serves which."""
    note(stage.server, RunningProcess("worker-1@host", ("bide.submit", "bide.store", "bide.control")))

    page = flower.ask("/broker").body.decode()
    lengths = json.loads(flower.ask("/api/queues/length").body)["active_queues"]

    rows = page.partition("<tbody>")[2].split("<tr ")[1:]
    served = {queue: "worker-1@host" in row for row in rows for queue in QUEUES if f">{queue}<" in row}
    assert served == {queue: queue != "bide.poll" for queue in QUEUES}
    assert [row for row in rows if ">none<" in row and ">bide.poll<" in row]
    assert {each["name"] for each in lengths} >= set(QUEUES)


# Revoke


def test_revoke_asks_where_a_job_is_paid_for(flower: FlowerWorld, stage: Stage) -> None:
    """The question names the job, and says whether it is paid for; others are revoked as before."""
    stage.open("in-line")
    stage.submitting("submitted")
    stage.running("bought")
    stage.unconfirmed("doubtful")
    stage.finished("over")

    def question(job_id: str) -> str:
        return str(json.loads(flower.ask(f"/bide/jobs/{job_id}/revoke").body)["question"])

    assert question("bought").startswith("Job bought is paid for (bought, as p-bought).")
    for unsure in ("submitted", "doubtful"):
        assert question(unsure).startswith(f"Job {unsure} may be paid for (may have been bought).")
    assert [question(each) for each in ("in-line", "over", "another-task", "n%20o%2Fid")] == ["", "", "", ""]


@pytest.mark.parametrize(
    "path", ["/task/a", "/broker", "/bide/jobs/a/revoke", "/api/queues/length", "/tasks/datatable?draw=1"]
)
def test_our_handlers_ask_for_the_password(flower: FlowerWorld, path: str) -> None:
    """As Flower's own do."""
    assert flower.ask(path, login="anna:wrong").code == 401
