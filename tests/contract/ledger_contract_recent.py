"""The ledger's contract about the list of recent jobs: which are on it, in which order, and how it is searched."""

from __future__ import annotations

from typing import Any

import pytest

from bide.contract import JobState
from bide.ledger import AccountName
from bide.ledger import recent as recent_jobs
from bide.ledger.keys import prefix
from bide.ledger.recent import Page, Place, Wanted
from tests.contract.ledger_stage import ACCOUNT, ERROR, Stage

OTHER = AccountName("nextry", "main")


def ids(page: Page) -> list[str]:
    """The jobs of a page."""
    return [found.record.job_id for found in page.jobs]


def listed(stage: Stage, *, most: int = 50, behind: Place | None = None, **wanted: Any) -> list[str]:
    """The jobs that are found."""
    return ids(stage.ledger.recent.page(Wanted(**wanted), most=most, behind=behind))


class RecentContract:
    """All jobs that were opened and have a record, whatever became of them."""

    def test_the_latest_job_comes_first(self, stage: Stage) -> None:
        """Of all accounts together; a job keeps its place when it ends."""
        stage.open("a")
        stage.clock.advance(1)
        stage.arrive("b", account=OTHER)
        stage.clock.advance(1)
        stage.unconfirmed("c")
        stage.ledger.jobs.cancel(ACCOUNT, "a")
        assert listed(stage) == ["c", "b", "a"]
        [first, *_] = stage.ledger.recent.page(Wanted(), most=1).jobs
        assert (first.record.state, first.record.account) == (JobState.UNCONFIRMED, ACCOUNT)
        assert (first.prompt, first.metadata) == ("a red fox", {})

    def test_a_follower_is_not_on_the_list(self, stage: Stage) -> None:
        """It has no job of its own."""
        stage.arrive("a", idempotency_key="k")
        stage.arrive("b", idempotency_key="k")
        assert listed(stage) == ["a"]

    def test_pages_go_on_where_the_last_one_ended(self, stage: Stage) -> None:
        """Also among jobs of one moment, across accounts, and when the job at that place has gone."""
        for number in range(4):
            stage.open(f"a{number}")
            stage.arrive(f"b{number}", account=OTHER)
        everything = ["b3", "b2", "b1", "b0", "a3", "a2", "a1", "a0"]
        seen: list[str] = []
        behind = None
        for _ in range(3):
            page = stage.ledger.recent.page(Wanted(), most=3, behind=behind)
            seen, behind = seen + ids(page), page.behind
        assert (seen, behind) == (everything, None)

        place = stage.ledger.recent.page(Wanted(), most=5).behind
        assert place is not None
        assert Place.parse(str(place)) == place
        stage.server.delete(f"{prefix(ACCOUNT)}job:a3")
        assert listed(stage) == [job for job in everything if job != "a3"]
        assert listed(stage, behind=place) == ["a2", "a1", "a0"]

    def test_a_page_that_holds_all_has_nothing_behind(self, stage: Stage) -> None:
        """No link leads to an empty page."""
        stage.open("a")
        stage.open("b")
        assert stage.ledger.recent.page(Wanted(), most=2).behind is None
        assert stage.ledger.recent.page(Wanted(), most=1).behind is not None

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            ({"states": frozenset({"failed", "running"})}, ["rejected", "running"]),
            ({"codes": frozenset({"rejected"})}, ["rejected"]),
            ({"codes": frozenset({"deadline"})}, []),
            ({"provider": "nextry"}, ["other"]),
            ({"account": "main"}, ["other"]),
            ({"account": "default", "provider": "nextry"}, []),
            ({"operation": "images.generation"}, ["other", "rejected", "running", "first"]),
            ({"operation": "images"}, []),
            ({"run": "run-1"}, []),
            ({"words": ("FOX",)}, ["other", "rejected", "running", "first"]),
            ({"words": ("snow", "fox")}, ["first"]),
            ({"words": ("m1",)}, []),
            ({"words": ('"quoted"',)}, ["running"]),
            ({"words": ("füchse",)}, ["running"]),
            ({"words": ("über",)}, ["running"]),
            ({"metadata": (("tenant", "acme"),)}, ["rejected", "first"]),
            ({"metadata": (("tenant", "acme"), ("order", "7"))}, ["first"]),
            ({"metadata": (("paid", "true"),)}, ["first"]),
            ({"metadata": (("tags", '["a", "b"]'),)}, ["first"]),
            ({"metadata": (("tenant", "acm"),)}, []),
            ({"metadata": (("acme", "tenant"),)}, []),
            ({"since": 1_700_000_010.0}, ["other", "rejected", "running"]),
            ({"until": 1_700_000_010.0}, ["first"]),
            ({"since": 1_700_000_010.0, "until": 1_700_000_020.0}, ["running"]),
        ],
    )
    def test_the_list_is_searched(self, stage: Stage, wanted: dict[str, Any], found: list[str]) -> None:
        """By all that people know of a job; each further wish narrows the list."""
        about = {"tenant": "acme", "order": 7, "paid": True, "tags": ["a", "b"]}
        stage.open("first", params={"prompt": "A red Fox\n in   the snow", "modelID": "m1"}, metadata=about)
        stage.clock.advance(10)
        stage.running("running", params={"prompt": 'a "quoted" FOX, Über Füchse'}, metadata={"tenant": "other"})
        stage.clock.advance(10)
        record, token, attempt = stage.submitting("rejected", metadata={"tenant": "acme"})
        stage.ledger.jobs.conclude(record, token, JobState.FAILED, error=ERROR, attempt=attempt)
        stage.clock.advance(10)
        stage.arrive("other", account=OTHER)
        assert listed(stage, **wanted) == found

    def test_a_long_search_stops_and_says_where(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is rare is looked for in pieces, none of which takes long."""
        monkeypatch.setattr(recent_jobs, "EXAMINED_AT_ONCE", 2)
        monkeypatch.setattr(recent_jobs, "MOST_EXAMINED", 4)
        stage.open("rare", params={"prompt": "a badger"})
        for number in range(9):
            stage.open(f"z{number}")
        wanted, behind, searches = Wanted(words=("badger",)), None, 0
        while True:
            page = stage.ledger.recent.page(wanted, most=5, behind=behind)
            searches += 1
            if page.behind is None:
                break
            assert not page.whole
            behind = page.behind
        assert (ids(page), searches) == (["rare"], 3)

    def test_large_requests_are_searched_in_pieces(self, stage: Stage) -> None:
        """One script copies so much at most, and the next goes on behind it."""
        picture = {"person": "A" * 200_000}
        for number in range(30):
            stage.open(f"a{number:02}", inputs=picture)
        assert len(listed(stage, words=("fox",))) == 30
        assert len(listed(stage, words=("fox",), most=7)) == 7

    def test_the_sweep_takes_old_jobs_off_the_list(self, stage: Stage) -> None:
        """Whose record has surely gone: after the longest deadline and the retention."""
        stage.open("old")
        stage.clock.advance(7 * 24 * 3600 + stage.ledger.timing.retention_seconds + 1)
        stage.open("new")
        stage.ledger.accounts.sweep(ACCOUNT)
        assert stage.server.zrange(f"{prefix(ACCOUNT)}recent", 0, -1) == ["new"]

    def test_jobs_of_an_earlier_release_are_put_on_the_list(self, stage: Stage) -> None:
        """Records that were there before the list was; a second time finds none."""
        stage.finished("a")
        stage.arrive("b", account=OTHER, idempotency_key="k")
        stage.arrive("follower", account=OTHER, idempotency_key="k")
        created = stage.field("a", "created")
        stage.server.delete(f"{prefix(ACCOUNT)}recent", f"{prefix(OTHER)}recent")
        assert stage.ledger.recent.complete() == 2
        assert sorted(listed(stage)) == ["a", "b"]
        assert stage.server.zscore(f"{prefix(ACCOUNT)}recent", "a") == float(created)
        assert stage.ledger.recent.complete() == 0
