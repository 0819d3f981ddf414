"""What Flower's pages say of jobs beyond Celery's events, over a ledger in memory."""

from __future__ import annotations

import json
from typing import Any

import fakeredis
import pytest
import redis

from bide.contract import QUEUES, JobState
from bide.ledger import AccountName
from bide.ledger.processes import RunningProcess, note
from config.flower_tasks import MAY_BE_PAID, SUSPENDED
from config.logging import register_secrets
from tests.contract.ledger_stage import ACCOUNT, Clock, Stage
from tests.unit.atelier import ACCEPTED, BASE, STATUS, Atelier, atelier
from tests.unit.flower_world import FlowerWorld
from workers.flower.jobs import words
from workers.flower.views import LEDGER_AWAY

__all__ = ["atelier"]

PAGES = "https://bide.example.com"
CANCELED = '{"code":"canceled","message":"no","job_id":""}'
HOSTILE = "\"><script>alert(1)</script> {{ 7 * 7 }} ' & <b>"
URIS = ("s3://results/2026/11/22/a/0.png", "s3://results/2026/11/22/a/1.png")


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


# A job's page


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


def test_without_an_address_of_the_pages_nothing_links_there(
    server: CountingRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link that leads nowhere is worse than none."""
    flower = FlowerWorld(server, monkeypatch)
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
    assert found == {"r": "waits at the provider", "q": "waits in line: nothing is bought yet", "g": SUSPENDED}
    assert len(rows) == 60


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"state": "queued", "note": "HTTP 429"}, "waits in line; last said: HTTP 429: nothing is bought yet"),
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
