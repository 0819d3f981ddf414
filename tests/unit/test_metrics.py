"""Metrics: what stands in Redis, and what Prometheus gets to see of it."""

from __future__ import annotations

from typing import Any

import pytest

from bide.bulk.names import RUNS_KEY, run_prefix
from bide.contract import Failure, FailureCode
from bide.ledger import Limits
from bide.ledger.keys import prefix
from tests.contract.ledger_invariants import snapshot
from tests.contract.ledger_stage import ACCOUNT, Stage
from tests.unit.metrics_world import Shown, about, shown
from workers.metrics.reading import MOST_ACCOUNTS, SHOWN_RUNS, read


def test_jobs_are_shown_by_state_and_age(late_stage: Stage) -> None:
    """Each live job once; a state that no job is in is shown as zero."""
    late_stage.open("queued")
    late_stage.clock.advance(60)
    late_stage.running("running")
    late_stage.submitting("submitting")
    late_stage.storing("storing")
    late_stage.unconfirmed("unconfirmed")
    late_stage.finished("finished")
    found = shown(late_stage)
    states = {labels["state"]: found.of_account("jobs", state=labels["state"]) for labels in found.samples("jobs")}
    assert states == {"queued": 1, "submitting": 1, "running": 1, "storing": 1, "unconfirmed": 1, "answering": 0}
    assert found.of_account("oldest_job_seconds", state="queued") == about(120)
    assert found.of_account("oldest_job_seconds", state="running") == about(60)
    assert found.of_account("oldest_job_seconds", state="answering") == 0
    assert found.of_account("oldest_unconfirmed_seconds") == about(60)
    assert found.of_account("in_flight") == 3, "the end of one let the queued one in"
    assert found.of_account("poll_overdue_seconds") == about(58)
    assert found.of_account("account_unattended_seconds") == about(120), "no worker ever came"


def test_a_job_whose_caller_waits_for_the_answer_is_shown_once(late_stage: Stage) -> None:
    """An unconfirmed job is on the operators' list, and on a clock as well until its caller has the answer."""
    record, token, _ = late_stage.submitting("a")
    failure = Failure(code=FailureCode.SUBMISSION_UNKNOWN, message="no answer", job_id="a")
    assert late_stage.ledger.jobs.conclude(record, token, record.state.UNCONFIRMED, error=failure.model_dump_json())
    found = shown(late_stage)
    assert found.of_account("jobs", state="unconfirmed") == 1
    assert found.of_account("jobs", state="answering") == 1


def test_capacity_pause_and_breaker_of_an_account(late_stage: Stage) -> None:
    """Capacity is there once a sweep noted it; pause and open breaker are shown as the ledger has them."""
    late_stage.limits[ACCOUNT] = Limits(max_in_flight=7)
    late_stage.open("a")
    assert shown(late_stage).samples("capacity") == []
    late_stage.ledger.accounts.sweep(ACCOUNT)
    late_stage.ledger.accounts.pause(ACCOUNT, reason="no credits", by="bide")
    late_stage.ledger.accounts.block_submits(ACCOUNT, seconds=1000, reason="HTTP 503")
    found = shown(late_stage)
    assert found.of_account("capacity") == 7
    assert found.of_account("account_paused") == 1
    assert found.of_account("account_held_seconds") == pytest.approx(880, abs=6)
    assert found.of_account("account_strikes") == 1


def test_callbacks_are_shown(late_stage: Stage) -> None:
    """Those that are owed, and how late the first is."""
    late_stage.finished("a", callback_url="https://example.com/")
    found = shown(late_stage)
    assert found.of_account("callbacks_pending") == 1
    assert found.of_account("callbacks_undelivered") == 0
    assert found.of_account("callback_overdue_seconds") == about(120)


def test_queues_and_broker(late_stage: Stage) -> None:
    """A broker that does not answer has no queues, and the rest is shown all the same."""
    late_stage.open("a")
    assert shown(late_stage).value("queue_messages", queue="bide.submit") == 3
    found = Shown(read(late_stage.server, lambda: None))
    assert found.samples("queue_messages") == []
    assert found.value("broker_up") == 0
    assert found.value("up") == 1
    assert found.of_account("jobs", state="queued") == 1


def test_runs_are_summed_up(late_stage: Stage) -> None:
    """All of them together, the largest one by one, and no more of these however many there are."""
    for number in range(SHOWN_RUNS + 3):
        fields: dict[Any, Any] = {
            "state": "running",
            "rows": 100 + number,
            "succeeded": 10,
            "failed": 1,
            "in_line": 5,
            "in_flight": 4,
        }
        late_stage.server.hset(f"{run_prefix(f'r{number}')}record", mapping=fields)
        late_stage.server.zadd(RUNS_KEY, {f"r{number}": late_stage.clock.now})
    late_stage.server.hset(f"{run_prefix('r0')}record", "state", "paused")
    found = shown(late_stage)
    assert found.value("runs", state="paused") == 1
    assert found.value("runs", state="running") == SHOWN_RUNS + 2
    assert found.value("runs_rows", state="succeeded") == 10 * (SHOWN_RUNS + 3)
    assert found.value("run_rows", run="r12") == 112
    assert found.value("run_done_rows", run="r12") == 11
    assert {labels["run"] for labels in found.samples("run_rows")} == {f"r{number}" for number in range(3, 13)}
    assert found.value("runs_rows", state="left") == 13 * 89 + sum(range(13))


def test_cardinality_is_bounded(late_stage: Stage) -> None:
    """Whatever accounts requests have named: so many are shown, and a gauge counts the others."""
    late_stage.server.sadd("bide:accounts", *(f"photogpt/a{number}" for number in range(MOST_ACCOUNTS + 7)))
    found = shown(late_stage)
    assert len(found.samples("in_flight")) == MOST_ACCOUNTS
    assert found.value("accounts_left_out") == 7
    per_account = sum(len(metric.samples) for metric in found.collect()) / MOST_ACCOUNTS
    assert per_account < 145


def test_no_job_stands_in_a_label(late_stage: Stage) -> None:
    """Ids of jobs come and go by the million."""
    late_stage.running("j-in-a-label")
    late_stage.unconfirmed("j-on-the-list")
    values = {
        value for metric in shown(late_stage).collect() for one in metric.samples for value in one.labels.values()
    }
    assert not [value for value in values if value.startswith("j-")]


def test_a_large_ledger_is_read_page_by_page(late_stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """No script holds Redis up for long, and none of the jobs is left out."""
    monkeypatch.setattr("bide.ledger.census.PAGE", 3)
    for number in range(7):
        late_stage.open(f"j{number}")
    assert shown(late_stage).of_account("jobs", state="queued") == 7


def test_reading_changes_nothing(late_stage: Stage) -> None:
    """A scrape leaves everything as it was."""
    late_stage.open("a")
    late_stage.running("b")
    before = snapshot(late_stage.server)
    shown(late_stage)
    assert snapshot(late_stage.server) == before
    assert late_stage.server.exists(f"{prefix(ACCOUNT)}account")
