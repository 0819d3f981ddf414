"""The ledger's contract about what people see: the polls that are remembered, timelines, and lists of jobs."""

from __future__ import annotations

import pytest

from bide.contract import Failure, FailureCode, JobState
from bide.ledger import Limits, Polled, Record
from bide.ledger.keys import prefix
from bide.ledger.listing import Job, Listing, Wanted
from bide.ledger.snapshot import JobSnapshot, take_snapshot
from bide.ledger.timeline import events, money, next_look, why
from tests.contract.ledger_stage import ACCOUNT, Stage


class SnapshotContract:
    """Snapshots, timelines and lists show a job and its account as the ledger has them."""

    # Polls

    def test_polls_are_remembered(self, stage: Stage) -> None:
        """A snapshot has each poll's time, its lateness and the provider's answer, repeated answers too."""
        stage.running("a")
        for seconds, late, note in [(2, 0.04, "queued"), (4, 1.5, "queued"), (8, 0.0, "half; done")]:
            poll(stage, "a", seconds, late, note)
        opened = number(stage, "a", "created")
        assert [(one.at - opened, one.late_seconds, one.answer) for one in snapshot(stage, "a").polls] == [
            (2, 0.0, "queued"),
            (6, 1.5, "queued"),
            (14, 0.0, "half, done"),
        ]

    def test_of_many_polls_the_last_are_remembered(self, stage: Stage) -> None:
        """A record keeps the last polls in a bounded space, each with the provider's word."""
        stage.running("a")
        for count in range(100):
            poll(stage, "a", 30, 0.3, "processing" if count < 50 else "a status word that is much too long 📷")
        seen = snapshot(stage, "a")
        assert len(str(stage.server.hget(f"{prefix(ACCOUNT)}body:a", "polls")).encode()) <= 200 + 32 + 4
        assert 4 <= len(seen.polls) <= 20
        assert {one.answer for one in seen.polls} == {"a status word that is much too l"}
        assert seen.polls[-1].at == stage.clock.now
        assert "earlier ones are not kept" in " ".join(event.detail for event in events(seen))

    def test_remembered_polls_go_with_the_job(self, stage: Stage) -> None:
        """Polls have no key of their own: they lie beside the request, and expire with it."""
        stage.running("a")
        poll(stage, "a", 2, 0.0, "done", kind="ended")
        assert [event.detail for event in events(snapshot(stage, "a")) if event.what == "poll"] == ["0.0 s late: done"]
        assert stage.ttl("body", "a") == -1
        record = stage.resume("a", token="t").record
        assert record is not None
        stage.ledger.jobs.conclude(record, "t", JobState.SUCCEEDED, result='{"outputs":[{"uri":"s3://b/k","size":5}]}')
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert stage.ttl("body", "a") > 0

    # Timelines

    def test_a_story_is_in_order(self, stage: Stage) -> None:
        """The timeline lists events from the opening to the stored objects."""
        stage.running("a")
        poll(stage, "a", 2, 0.1, "done", kind="ended")
        record = stage.resume("a", token="t").record
        assert record is not None
        stage.clock.advance(1)
        stage.ledger.jobs.conclude(record, "t", JobState.SUCCEEDED, result='{"outputs":[{"uri":"s3://b/k","size":5}]}')
        stage.ledger.jobs.answered(ACCOUNT, "a")
        story = [(event.what, event.detail) for event in events(snapshot(stage, "a"))]
        assert story == [
            ("opened", "interactive, may take 1800 s"),
            ("submit", "attempt 1"),
            ("accepted", "by the provider as p-a"),
            ("poll", "0.1 s late: done"),
            ("made", "the provider has the result"),
            ("succeeded", "downloaded and stored 1 object of 5 bytes: s3://b/k"),
        ]
        assert why(snapshot(stage, "a")) == ["it is over"]
        assert next_look(snapshot(stage, "a")) == (0.0, "")

    def test_why_a_job_waits_in_line(self, stage: Stage) -> None:
        """`why` names the account, its capacity, its rate and the jobs before this one."""
        stage.limits[ACCOUNT] = Limits(max_in_flight=1, submits_per_second=5)
        for name in "abc":
            stage.arrive(name)
        stage.ledger.accounts.sweep(ACCOUNT)
        assert why(snapshot(stage, "c")) == [
            "all 1 places of its account are taken",
            "1 others are before it in line",
            "its account makes at most 5 submits a second",
        ]
        stage.ledger.accounts.pause(ACCOUNT, reason="no credit", by="operator")
        assert why(snapshot(stage, "c"))[0].startswith("its account: paused by operator since 2023")
        stage.ledger.accounts.resume(ACCOUNT)
        stage.ledger.accounts.block_submits(ACCOUNT, seconds=30, reason="HTTP 401")
        assert why(snapshot(stage, "c"))[0] == "its account: no submits for another 30 s: HTTP 401"
        assert next_look(snapshot(stage, "c")) == (stage.clock.now + 30, "its account may submit again")

    def test_why_nothing_happens(self, stage: Stage) -> None:
        """`why` names the processes that seem to be missing: late polls a poller, no sweeps a worker."""
        stage.running("a", first_poll_seconds=5)
        stage.ledger.accounts.sweep(ACCOUNT)
        assert next_look(snapshot(stage, "a")) == (stage.clock.now + 5, "poll")
        stage.clock.advance(105)
        assert why(snapshot(stage, "a")) == [
            "no process has looked after its account for 105 s: is a worker running?",
            "its poll is 100 s late: is a poller running?",
            "the provider is at work on it",
        ]

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"state": "queued"}, "not bought"),
            ({"state": "queued", "submits": "2", "note": "HTTP 429"}, "not bought"),
            ({"state": "submitting", "submits": "1"}, "may have been bought"),
            ({"state": "unconfirmed", "submits": "1"}, "may have been bought"),
            ({"state": "queued", "again": "1", "submits": "1"}, "may have been bought, up to 1 times"),
            ({"state": "unconfirmed", "resubmitted": "1"}, "may have been bought, up to 2 times"),
            ({"state": "running", "pid": "p"}, "bought, as p"),
            ({"state": "storing", "submitted": "17.0"}, "bought"),
            (
                {"state": "running", "pid": "p", "again": "1"},
                "bought, as p; 1 more submits of it may have been bought too",
            ),
            ({"state": "running", "pid": "p", "other_pid": "q"}, "bought twice, as p and q"),
            ({"state": "canceled", "submits": "1"}, "may have been bought"),
            ({"state": "canceled"}, "not bought"),
        ],
    )
    def test_money(self, fields: dict[str, str], expected: str) -> None:
        """`money` says what is known of the purchase, and never hides an unconfirmed submit."""
        assert money(Record("a", ACCOUNT, fields)) == expected

    # Lists

    def test_jobs_under_way_come_from_the_clocks(self, stage: Stage) -> None:
        """A list of jobs under way is by state, account and age, the oldest first, without those that are over."""
        stage.finished("over")
        stage.unconfirmed("unknown")
        stage.clock.advance(1)
        stage.running("runs")
        stage.clock.advance(10)
        stage.limits[ACCOUNT] = Limits(max_in_flight=1)
        stage.open("waits")
        listing = Listing(stage.ledger.executor)
        assert listed(stage) == ["unknown", "runs", "waits"]
        assert listed(stage, states=frozenset({JobState.UNCONFIRMED})) == ["unknown"]
        assert listed(stage, provider="photogpt", account="default") == ["unknown", "runs", "waits"]
        assert listed(stage, provider="dreambooth") == listed(stage, account="other") == []
        assert listed(stage, before=stage.clock.now - 5) == ["unknown", "runs"]
        assert [job.job_id for job in listing.search(Wanted(), most=1).jobs] == ["unknown"]

    def test_jobs_that_are_over_are_found_by_a_scan_of_all_records(self, stage: Stage) -> None:
        """A list of jobs that are over has the latest first, with code and reason."""
        for name, code in {"a": FailureCode.REJECTED, "b": FailureCode.BAD_MEDIA}.items():
            record, token = stage.storing(name)
            error = Failure(code=code, message=f"for {name}", job_id=name).model_dump_json()
            stage.ledger.jobs.conclude(record, token, JobState.FAILED, error=error)
            stage.ledger.jobs.answered(ACCOUNT, name)
            stage.clock.advance(1)
        stage.running("runs")
        over = frozenset({JobState.FAILED})
        assert listed(stage, states=over) == ["b", "a"]
        assert listed(stage, states=over, codes=frozenset({"rejected"})) == ["a"]
        [job] = Listing(stage.ledger.executor).search(Wanted(over, codes=frozenset({"bad_media"})), most=5).jobs
        assert job == Job(
            "b",
            ACCOUNT,
            JobState.FAILED,
            "images.generation",
            job.created,
            job.finished,
            0,
            "p-b",
            "",
            "bad_media",
            "for b",
            what="photogpt images.generation: a red fox",
        )

    def test_a_follower_is_no_job_of_its_own(self, stage: Stage) -> None:
        """A list shows a job once, however many callers it has."""
        stage.arrive("a", idempotency_key="k")
        stage.arrive("b", idempotency_key="k")
        assert listed(stage, states=frozenset(JobState)) == ["a"]


def poll(stage: Stage, job_id: str, seconds: float, late: float, note: str, *, kind: str = "running") -> None:
    """Record one more poll of the job, after so many seconds."""
    stage.clock.advance(seconds)
    stage.ledger.polls.record(ACCOUNT, [Polled(job_id, kind, 5.0, note=note, late_seconds=late)])  # type: ignore[arg-type]  # as given


def snapshot(stage: Stage, job_id: str) -> JobSnapshot:
    """The job's snapshot."""
    record = stage.ledger.jobs.read(ACCOUNT, job_id)
    assert record is not None
    return take_snapshot(stage.ledger, record)


def number(stage: Stage, job_id: str, name: str) -> float:
    """A number of the job's record."""
    return float(stage.field(job_id, name))


def listed(stage: Stage, **wanted: object) -> list[str]:
    """The ids of the jobs that a search finds."""
    return [job.job_id for job in Listing(stage.ledger.executor).search(Wanted(**wanted), most=100).jobs]  # type: ignore[arg-type]  # as given
