"""Metrics: what worker processes count, and how it adds up."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import fakeredis
import pytest
import redis

from bide.contract import FINAL_STATES, FailureCode
from bide.ledger import AccountName, Polled, scripts
from tests.contract.ledger_invariants import check_keys, snapshot
from tests.contract.ledger_stage import ACCOUNT, Stage
from tests.unit.metrics_world import shown
from workers.metrics.counted import (
    ENDED_JOBS,
    FAILED_JOBS,
    OTHER,
    POLL_LATENESS,
    POLLS,
    REPAIRS,
    STORED_BYTES,
    SUBMITS,
    repaired,
)
from workers.metrics.tally import Tally, metrics_key

ROOT = Path(__file__).parents[2]


def test_counts_of_processes_add_up(late_stage: Stage) -> None:
    """Two processes write into the same hash, each only what is new."""
    first, second = Tally(), Tally()
    for tally in (first, second):
        tally.count(ACCOUNT, SUBMITS, "submitted")
        tally.count(ACCOUNT, STORED_BYTES, by=1000)
        tally.flush(late_stage.server)
    first.flush(late_stage.server)
    first.count(ACCOUNT, SUBMITS, "refused")
    first.flush(late_stage.server)
    found = shown(late_stage)
    assert found.of_account("submits_total", outcome="submitted") == 2
    assert found.of_account("submits_total", outcome="refused") == 1
    assert found.of_account("submits_total", outcome="unconfirmed") == 0, "a rate needs to see where it began"
    assert found.of_account("stored_bytes_total") == 2000


def test_histogram_is_cumulative(late_stage: Stage) -> None:
    """Buckets hold all that is smaller, a value on a bound too, and the sum is kept in thousandths."""
    tally = Tally()
    tally.observe(ACCOUNT, POLL_LATENESS, [0.0, 0.1, 0.3, 1000.0])
    tally.flush(late_stage.server)
    found = shown(late_stage)
    buckets = {le: found.of_account("poll_lateness_seconds_bucket", le=le) for le in ("0.1", "0.25", "0.5", "+Inf")}
    assert buckets == {"0.1": 2, "0.25": 2, "0.5": 3, "+Inf": 4}
    assert found.of_account("poll_lateness_seconds_count") == 4
    assert found.of_account("poll_lateness_seconds_sum") == pytest.approx(1000.4)


def test_unforeseen_values_make_no_new_series(late_stage: Stage) -> None:
    """Whatever a provider or a later version says is counted as one other."""
    tally = Tally()
    for value in ("j-1", "j-2"):
        tally.count(ACCOUNT, FAILED_JOBS, value)
    tally.flush(late_stage.server)
    assert late_stage.server.hgetall(metrics_key(ACCOUNT)) == {f"failed_jobs:{OTHER}": "2"}
    assert shown(late_stage).of_account("failed_jobs_total", code=OTHER) == 2


def test_counts_outlive_a_redis_that_is_away() -> None:
    """What could not be written is written the next time, once."""
    connected, tally = fakeredis.FakeServer(), Tally()
    server: redis.Redis = fakeredis.FakeRedis(server=connected, decode_responses=True, version=(7,))
    tally.count(ACCOUNT, SUBMITS, "submitted")
    connected.connected = False
    with pytest.raises(redis.ConnectionError):
        tally.flush(server)
    tally.count(ACCOUNT, SUBMITS, "submitted")
    connected.connected = True
    tally.flush(server)
    assert server.hget(metrics_key(ACCOUNT), "submits:submitted") == "2"


def test_flushing_costs_one_round_trip(late_stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much was counted for however many accounts; nothing at all where nothing was."""
    tally, trips, pipeline = Tally(), list[Any](), late_stage.server.pipeline

    def counted(**options: Any) -> Any:
        trips.append(options)
        return pipeline(**options)

    monkeypatch.setattr(late_stage.server, "pipeline", counted)
    tally.flush(late_stage.server)
    assert trips == []
    for number in range(5):
        tally.count(AccountName("photogpt", f"a{number}"), SUBMITS, "submitted")
        tally.observe(AccountName("photogpt", f"a{number}"), POLL_LATENESS, range(100))
    tally.flush(late_stage.server)
    assert len(trips) == 1


def test_no_key_is_left_without_an_owner(late_stage: Stage) -> None:
    """The counts live as long as their account, which is noted where the ledger had forgotten it."""
    tally = Tally()
    tally.count(ACCOUNT, SUBMITS, "submitted")
    tally.flush(late_stage.server)
    assert late_stage.ledger.accounts.names() == [ACCOUNT]
    check_keys(snapshot(late_stage.server), [ACCOUNT])


def test_each_end_counts_once(late_stage: Stage) -> None:
    """By the script that ends a job, whatever asked for it: no cancel is missed, and no repetition counts."""
    late_stage.finished("a")
    late_stage.open("b", idempotency_key="k")
    late_stage.arrive("follower", idempotency_key="k")
    for job_id in ("b", "b", "follower"):
        late_stage.ledger.jobs.cancel(ACCOUNT, job_id)
    late_stage.unconfirmed("d")
    for _ in range(2):
        late_stage.ledger.unconfirmed.give_up(ACCOUNT, "d")
    found = shown(late_stage)
    ends = {state: found.of_account("ended_jobs_total", state=state) for state in sorted(FINAL_STATES)}
    assert ends == {"canceled": 1, "failed": 1, "succeeded": 1}


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("told again", "told_again"),
        ("worker died: storing", "worker_died"),
        ("worker died while submitting: unconfirmed", "unconfirmed"),
        ("worker died while submitting; submitted again as its request allows", "worker_died"),
        ("left alone: another version of bide wrote its record", "version"),
        ("something new", OTHER),
    ],
)
def test_repairs_are_counted_by_kind(what: str, kind: str) -> None:
    """By the words of the sweeper, of which some name a state."""
    assert repaired(what) == kind


def test_all_that_is_counted_is_foreseen() -> None:
    """The words that ledger and steps use are label values, not something other."""
    kinds = get_args(get_type_hints(Polled)["kind"])
    mended = re.findall(r"note\((?:id|''), '([^']+)'", scripts.account.Sweep.text())
    events = re.findall(r'self\._note_outcome\("(\w+)"', (ROOT / "tasks" / "steps" / "purchase.py").read_text())
    assert set(ENDED_JOBS.values) == set(FINAL_STATES)
    assert set(FAILED_JOBS.values) == {code.value for code in FailureCode}
    assert set(POLLS.values) == {Polled("a", kind).counted_as for kind in kinds}
    assert set(REPAIRS.values) == {repaired(what) for what in mended}
    doubts = re.findall(
        r'^    outcome = "(\w+)" if .* else "(\w+)"', (ROOT / "tasks" / "steps" / "settle.py").read_text(), re.MULTILINE
    )
    assert len(events) >= 3
    assert {*events, *doubts[0], "refused"} == set(SUBMITS.values)
