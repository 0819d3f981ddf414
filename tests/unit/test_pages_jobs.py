"""The list of jobs and a job's own page, over a ledger in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bide.ledger import AccountName, Polled
from bide.providers.base import Progress
from tests.contract.ledger_stage import ACCOUNT
from tests.unit.pages_world import ANNA, World
from workers.pages.rows import place_on_sheet

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7 * 7 }} ' & <b>"
REJECTED = '{"code":"rejected","message":"no <b>foxes</b>","job_id":""}'
CALLBACK = "https://hooks.customer.example/secret-path"


@pytest.fixture(name="world")
def _world() -> World:
    """A deployment without jobs."""
    return World(ANNA)


def test_the_list_shows_what_people_look_for(world: World) -> None:
    """Prompt, state, reason, account, money, metadata, how long it took; the latest first."""
    world.finished("a", "2026/11/22/a/0.png", "2026/11/22/a/1.png", metadata={"tenant": "acme", "order": 7})
    world.clock.advance(60)
    world.failed("b", REJECTED, params={"prompt": "a crowd"})
    world.clock.advance(60)
    world.stage.unconfirmed("c")
    world.clock.advance(1)
    world.stage.arrive("d", account=AccountName("nextry", "main"), params={})

    answer = world.ask("/")

    assert answer.jobs == ["d", "c", "b", "a"]
    for words in ("a red fox", "bought · 0.02", "tenant acme", "order 7", "rejected", "no <b>foxes</b>", "not bought"):
        assert words in answer.words, words
    assert "may have been bought" in answer.words
    assert "nextry/main · images.generation" in answer.words
    assert '<img src="/jobs/a/objects/0/thumbnail"' in answer.text
    assert "/?metadata=tenant%3Dacme" in answer.hrefs


def test_progress_of_a_running_job(world: World) -> None:
    """In the list and on its own page, in words, and as a bar where the provider says a fraction."""
    world.stage.running("a")
    for text in ('{"position":3}', '{"fraction":0.5,"left_seconds":12.0,"message":"<b>10/20"}'):
        polled = Polled("a", "running", 5.0, note="drawing", also={"progress": text})
        world.stage.ledger.polls.record(ACCOUNT, [polled])
        lists, shows = world.ask("/"), world.ask("/jobs/a")
        words = str(Progress.from_text(text))
        assert f"drawing, {words}" in lists.words
        assert f"how far it is: {words}" in shows.words
        assert ('<progress max="1" value="0.5"' in shows.text) is ("fraction" in text)


def test_an_empty_list_says_so(world: World) -> None:
    """With and without filters."""
    assert "There are no jobs yet." in world.ask("/").words
    assert "No job is like that." in world.ask("/?state=failed").words


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["other", "failed", "first"]),
        ("prompt=FOX+snow", ["first"]),
        ("prompt=badger", []),
        ("state=failed", ["failed"]),
        ("state=failed&state=succeeded", ["failed", "first"]),
        ("state=", ["other", "failed", "first"]),
        ("code=rejected", ["failed"]),
        ("provider=nextry", ["other"]),
        ("account=main", ["other"]),
        ("operation=images.generation&provider=photogpt", ["failed", "first"]),
        ("tenant=acme", ["first"]),
        ("metadata=tenant%3Dacme&metadata=order%3D7", ["first"]),
        ("metadata=order%3D8", []),
        ("run=none", []),
        ("since=2023-11-14T22:13:25", ["other", "failed"]),
        ("until=2023-11-14T22:13:25", ["first"]),
        ("since=2023-11-14T22:13:20&until=2023-11-14T22:13:31", ["failed", "first"]),
        ("since=2023-11-14T23:13:25%2B01:00", ["other", "failed"]),
        ("unknown=field", ["other", "failed", "first"]),
    ],
)
def test_the_list_is_filtered(world: World, query: str, found: list[str]) -> None:
    """By all that the form has; its fields keep what was asked for."""
    world.finished("first", params={"prompt": "A red fox in the snow"}, metadata={"tenant": "acme", "order": 7})
    world.clock.advance(10)
    world.failed("failed", REJECTED)
    world.clock.advance(10)
    world.stage.arrive("other", account=AccountName("nextry", "main"))

    answer = world.ask(f"/?{query}")

    assert (answer.status, answer.jobs) == (200, found)
    if query == "prompt=FOX+snow":
        assert 'name="prompt" value="FOX snow"' in answer.text
        assert "/" in answer.hrefs


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("state=finished", "state: there is no finished; there are queued"),
        ("code=nonsense", "code: there is no nonsense"),
        ("metadata=acme", "metadata: acme is no name=value"),
        ("metadata=%3Dacme", "metadata: =acme is no name=value"),
        ("since=yesterday", "since: yesterday is no time such as 2026-11-22T01:30"),
        ("until=9999-99-99T00:00", "until:"),
        ("limit=0", "limit: 0 is no number from 1 to 500"),
        ("limit=501", "limit: 501"),
        ("limit=%C2%B2", "limit: ²"),
        ("behind=nan:x", "behind: is no place"),
        ("behind=x", "behind: is no place"),
        ("prompt=" + "x" * 301, "prompt: is longer than 300 characters"),
    ],
)
def test_a_wrong_filter_is_named(world: World, query: str, words: str) -> None:
    """And left out; the page is there all the same."""
    world.stage.open("a")
    answer = world.ask(f"/?{query}")
    assert (answer.status, answer.jobs) == (400, ["a"])
    assert words in answer.words


def test_the_list_is_turned_page_by_page(world: World) -> None:
    """With the same filters, to its end and back to the latest."""
    for number in range(5):
        world.stage.open(f"j{number}", metadata={"tenant": "a&b"})
        world.stage.open(f"x{number}")
    seen, path = [], "/?tenant=a%26b&limit=2"
    while True:
        answer = world.ask(path)
        seen.append(answer.jobs)
        further = [href for href in answer.hrefs if "behind=" in href]
        if not further:
            break
        [path] = further
    assert seen == [["j4", "j3"], ["j2", "j1"], ["j0"]]
    assert "/?tenant=a%26b&limit=2" in answer.hrefs


def test_hostile_texts_stay_texts(world: World) -> None:
    """Wherever they come from: prompt, metadata, a failure, a filter, an address."""
    world.failed(
        "a",
        json.dumps({"code": "rejected", "message": HOSTILE, "job_id": ""}),
        params={"prompt": HOSTILE},
        metadata={HOSTILE: HOSTILE},
    )
    for path in ("/", "/jobs/a", f"/?prompt={HOSTILE.replace('&', '%26')}", f"/jobs/{HOSTILE[:20]}", "/runs/<b>"):
        answer = world.ask(path)
        assert answer.text.count("<script") == 1, path
        assert "<img src=x" not in answer.text, path
        assert "49" not in answer.words, path


def test_no_secret_of_a_request_is_shown(world: World) -> None:
    """Neither an address of a callback, nor inputs, nor keys of idempotency."""
    request: dict[str, Any] = {
        "callback_url": CALLBACK,
        "idempotency_key": "order-secret-key",
        "inputs": {"person": "data:image/png;base64,c2VjcmV0LXBpY3R1cmU="},
        "params": {"prompt": "a fox", "webhook": "https://hush.example", "modelID": "m1"},
    }
    world.stage.unconfirmed("a", **request)
    for path in ("/", "/jobs/a", "/unconfirmed", "/jobs/a/attach", "/jobs/a/give-up"):
        text = world.ask(path).text
        for secret in ("customer.example", "order-secret-key", "c2VjcmV0", "hush"):
            assert secret not in text.replace("hush-anna", ""), path


def test_a_jobs_page_is_what_explain_prints(world: World) -> None:
    """Its timeline, why it waits, what to do, the provider's id, its objects."""
    world.finished("a", "2026/11/22/a/0.png", "2026/11/22/a/1.mp4", metadata={"tenant": "acme"})
    answer = world.ask("/jobs/a")
    for words in (
        "it is over",
        "To do: nothing",
        "p-a",
        "bought · 0.02",
        "tenant acme",
        "opened",
        "submit",
        "succeeded",
    ):
        assert words in answer.words, words
    assert {"/jobs/a/objects/0", "/jobs/a/objects/1"} <= set(answer.hrefs)
    assert "640 × 480 · 12 kB" in answer.words  # noqa: RUF001 - as it is set
    assert "/jobs/a/attach" not in answer.hrefs


def test_a_job_that_waits_says_why(world: World) -> None:
    """And its page is fetched anew when something changes; that of a job that is over is not."""
    world.stage.ledger.accounts.pause(ACCOUNT, reason="no credit", by="operator")
    world.stage.arrive("a")
    answer = world.ask("/jobs/a")
    assert "paused by operator" in answer.words
    assert "no credit" in answer.words
    assert "bide resume photogpt default" in answer.words
    assert 'data-live="jobs"' in answer.text


def test_a_follower_leads_to_its_job(world: World) -> None:
    """The page says whose it is."""
    world.stage.arrive("a", idempotency_key="k")
    world.stage.arrive("b", idempotency_key="k")
    assert "Job b has the same idempotency key" in world.ask("/jobs/b").words


@pytest.mark.parametrize("job_id", ["gone", "x" * 200, "a%0Ab"])
def test_an_unknown_job_is_not_found(world: World, job_id: str) -> None:
    """The page says what may have become of it."""
    answer = world.ask(f"/jobs/{job_id}")
    assert (answer.status, "Nothing is known of a job" in answer.words) == (404, True)


def test_a_row_whose_record_has_gone_leads_to_its_sheet(world: World) -> None:
    """Records of rows go when their results are written."""
    answer = world.ask("/jobs/run-1.250")
    assert answer.status == 404
    assert {"/runs/run-1", "/objects/runs/run-1/page-0002.html#row-250"} <= set(answer.hrefs)


@pytest.mark.parametrize(
    ("job_id", "place"),
    [
        ("run-1.1", ("run-1", "/objects/runs/run-1/index.html#row-1")),
        ("run-1.200", ("run-1", "/objects/runs/run-1/index.html#row-200")),
        ("run-1.201", ("run-1", "/objects/runs/run-1/page-0002.html#row-201")),
        ("a", None),
        ("a.b", None),
        ("a.1.1", None),
        (".1", None),
        ("a.²", None),
    ],
)
def test_a_row_has_its_place_on_the_sheet(job_id: str, place: tuple[str, str] | None) -> None:
    """By its number."""
    assert place_on_sheet(job_id) == place


def test_a_record_of_a_later_version_is_shown(world: World) -> None:
    """A field that is not known yet costs nothing, nor does a request that is none."""
    world.finished("a")
    at = f"bide:{{{ACCOUNT}}}:"
    output = {
        "uri": "s3://b/k",
        "bucket": "b",
        "key": "k",
        "content_type": "image/png",
        "size": 1,
        "sha256": "0",
        "x": 1,
    }
    world.server.hset(f"{at}job:a", mapping={"v": "9", "result": json.dumps({"outputs": [output], "weather": 1})})
    world.server.hset(f"{at}body:a", "request", "no JSON")
    assert world.ask("/").jobs == ["a"]


def test_redis_that_is_away_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """In words, with 503, and without a traceback."""
    monkeypatch.setattr(world.redis, "connected", False)
    for path in ("/", "/jobs/a", "/unconfirmed", "/runs", "/accounts"):
        answer = world.ask(path)
        assert (answer.status, "Redis does not answer" in answer.words) == (503, True), path


def test_many_browsers_share_one_read(world: World) -> None:
    """The same second serves all who ask."""
    reads = 0
    page = world.stage.ledger.recent.page

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal reads
        reads += 1
        return page(*arguments, **options)

    world.stage.ledger.recent.page = counted  # type: ignore[method-assign]  # the one place where reads are counted
    world.ask(*["/"] * 20)
    assert reads < 5
