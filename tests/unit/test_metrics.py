"""Metrics: what processes count, what stands in Redis, and what Prometheus gets to see of both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args, get_type_hints

import fakeredis
import pytest
import redis
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from bide.bulk.names import RUNS_KEY, run_prefix
from bide.contract import QUEUES, FailureCode
from bide.ledger import AccountName, Limits, Polled
from bide.ledger.keys import prefix
from tests.contract.ledger_invariants import check_keys, snapshot
from tests.contract.ledger_stage import ACCOUNT, Clock, Stage
from workers.metrics.counted import (
    FAILED_JOBS,
    OTHER,
    POLL_LATENESS,
    POLLS,
    REPAIRS,
    STORED_BYTES,
    SUBMITS,
    repaired,
)
from workers.metrics.families import families
from workers.metrics.reading import MOST_ACCOUNTS, SHOWN_RUNS, Snapshot, read
from workers.metrics.tally import Tally, metrics_key

ROOT = Path(__file__).parents[2]

LABELS = {"provider": ACCOUNT.provider, "account": ACCOUNT.account}


@pytest.fixture
def stage() -> Stage:
    """A ledger in memory, its clock two minutes behind."""
    server: redis.Redis = fakeredis.FakeRedis(decode_responses=True, version=(7,))
    stage = Stage(server, Clock())
    stage.clock.now = float(server.time()[0]) - 120
    return stage


class Shown(Collector):
    """What Prometheus would see."""

    def __init__(self, taken: Snapshot | None) -> None:
        self._taken = taken
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def collect(self) -> Iterator[Metric]:
        return families(self._taken)

    def value(self, name: str, **labels: str) -> float | None:
        """One sample of the account's, or without any label of `labels` of everybody's."""
        return self._registry.get_sample_value(f"bide_{name}", labels)

    def of_account(self, name: str, **labels: str) -> float | None:
        return self.value(name, **LABELS, **labels)

    def samples(self, name: str) -> list[dict[str, str]]:
        """The labels of all samples of a metric."""
        return [one.labels for metric in self.collect() for one in metric.samples if one.name == f"bide_{name}"]


def shown(stage: Stage) -> Shown:
    """What the exporter shows of a ledger and of queues that hold three messages each."""
    return Shown(read(stage.server, lambda: dict.fromkeys(QUEUES, 3)))


def about(seconds: float) -> Any:
    """As many seconds, or a few more: the server's clock is the real one."""
    return pytest.approx(seconds + 5, abs=5.5)


# What is counted


def test_counts_of_processes_add_up(stage: Stage) -> None:
    """Two processes write into the same hash, each only what is new."""
    first, second = Tally(), Tally()
    for tally in (first, second):
        tally.count(ACCOUNT, SUBMITS, "submitted")
        tally.count(ACCOUNT, STORED_BYTES, by=1000)
        tally.flush(stage.server)
    first.flush(stage.server)
    first.count(ACCOUNT, SUBMITS, "refused")
    first.flush(stage.server)
    found = shown(stage)
    assert found.of_account("submits_total", outcome="submitted") == 2
    assert found.of_account("submits_total", outcome="refused") == 1
    assert found.of_account("submits_total", outcome="unconfirmed") == 0, "a rate needs to see where it began"
    assert found.of_account("stored_bytes_total") == 2000


def test_histogram_is_cumulative(stage: Stage) -> None:
    """Buckets hold all that is smaller, a value on a bound too, and the sum is kept in thousandths."""
    tally = Tally()
    tally.observe(ACCOUNT, POLL_LATENESS, [0.0, 0.1, 0.3, 1000.0])
    tally.flush(stage.server)
    found = shown(stage)
    buckets = {le: found.of_account("poll_lateness_seconds_bucket", le=le) for le in ("0.1", "0.25", "0.5", "+Inf")}
    assert buckets == {"0.1": 2, "0.25": 2, "0.5": 3, "+Inf": 4}
    assert found.of_account("poll_lateness_seconds_count") == 4
    assert found.of_account("poll_lateness_seconds_sum") == pytest.approx(1000.4)


def test_unforeseen_values_make_no_new_series(stage: Stage) -> None:
    """Whatever a provider or a later version says is counted as one other."""
    tally = Tally()
    for value in ("j-1", "j-2"):
        tally.count(ACCOUNT, FAILED_JOBS, value)
    tally.flush(stage.server)
    assert stage.server.hgetall(metrics_key(ACCOUNT)) == {f"failed_jobs:{OTHER}": "2"}
    assert shown(stage).of_account("failed_jobs_total", code=OTHER) == 2


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


def test_flushing_costs_one_round_trip(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much was counted for however many accounts; nothing at all where nothing was."""
    tally, trips, pipeline = Tally(), list[Any](), stage.server.pipeline

    def counted(**options: Any) -> Any:
        trips.append(options)
        return pipeline(**options)

    monkeypatch.setattr(stage.server, "pipeline", counted)
    tally.flush(stage.server)
    assert trips == []
    for number in range(5):
        tally.count(AccountName("photogpt", f"a{number}"), SUBMITS, "submitted")
        tally.observe(AccountName("photogpt", f"a{number}"), POLL_LATENESS, range(100))
    tally.flush(stage.server)
    assert len(trips) == 1


def test_no_key_is_left_without_an_owner(stage: Stage) -> None:
    """The counts live as long as their account, which is noted where the ledger had forgotten it."""
    tally = Tally()
    tally.count(ACCOUNT, SUBMITS, "submitted")
    tally.flush(stage.server)
    assert stage.ledger.accounts() == [ACCOUNT]
    check_keys(snapshot(stage.server), [ACCOUNT])


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
def test_repairs_are_told_apart(what: str, kind: str) -> None:
    """By the words of the sweeper, of which some name a state."""
    assert repaired(what) == kind


def test_all_that_is_counted_is_foreseen() -> None:
    """The words that ledger and steps use are label values, not something other."""
    kinds = get_args(get_type_hints(Polled)["kind"])
    mended = re.findall(r"note\((?:id|''), '([^']+)'", (files("bide.ledger") / "sweep.lua").read_text())
    events = re.findall(r'self\._log\("(\w+)"', (ROOT / "tasks" / "submit.py").read_text())
    assert set(FAILED_JOBS.values) == {code.value for code in FailureCode}
    assert set(POLLS.values) == set(kinds)
    assert set(REPAIRS.values) == {repaired(what) for what in mended}
    assert len(events) >= 4
    assert {*events, "refused"} == set(SUBMITS.values)


# What stands in Redis


def test_jobs_are_shown_by_state_and_age(stage: Stage) -> None:
    """Each live job once; a state that no job is in is shown as zero."""
    stage.open("queued")
    stage.clock.advance(60)
    stage.running("running")
    stage.submitting("submitting")
    stage.storing("storing")
    stage.unconfirmed("unconfirmed")
    stage.finished("finished")
    found = shown(stage)
    states = {labels["state"]: found.of_account("jobs", state=labels["state"]) for labels in found.samples("jobs")}
    assert states == {"queued": 1, "submitting": 1, "running": 1, "storing": 1, "unconfirmed": 1, "answering": 0}
    assert found.of_account("oldest_job_seconds", state="queued") == about(120)
    assert found.of_account("oldest_job_seconds", state="running") == about(60)
    assert found.of_account("oldest_job_seconds", state="answering") == 0
    assert found.of_account("in_flight") == 3, "the end of one let the queued one in"
    assert found.of_account("poll_overdue_seconds") == about(58)
    assert found.of_account("account_unattended_seconds") == about(120), "no worker ever came"


def test_whoever_waits_for_his_answer_is_shown_once(stage: Stage) -> None:
    """A doubt stands on the operators' list, and on a clock as well until its caller is told."""
    record, token, _ = stage.submitting("a")
    assert stage.ledger.conclude(record, token, record.state.UNCONFIRMED, error='{"code":"submission_unknown"}')
    found = shown(stage)
    assert found.of_account("jobs", state="unconfirmed") == 1
    assert found.of_account("jobs", state="answering") == 1


def test_capacity_and_standing_of_an_account(stage: Stage) -> None:
    """Capacity as a sweep noted it, absent before; paused and held as the ledger has it."""
    stage.limits[ACCOUNT] = Limits(max_in_flight=7)
    stage.open("a")
    assert shown(stage).samples("capacity") == []
    stage.ledger.sweep(ACCOUNT)
    stage.ledger.pause(ACCOUNT, reason="no credits", by="bide")
    stage.ledger.hold(ACCOUNT, seconds=1000, reason="HTTP 503")
    found = shown(stage)
    assert found.of_account("capacity") == 7
    assert found.of_account("account_paused") == 1
    assert found.of_account("account_held_seconds") == pytest.approx(880, abs=6)
    assert found.of_account("account_strikes") == 1


def test_callbacks_are_shown(stage: Stage) -> None:
    """Those that are owed, and how late the first is."""
    stage.finished("a", callback_url="https://example.com/")
    found = shown(stage)
    assert found.of_account("callbacks_pending") == 1
    assert found.of_account("callbacks_undelivered") == 0
    assert found.of_account("callback_overdue_seconds") == about(120)


def test_queues_and_broker(stage: Stage) -> None:
    """A broker that does not answer has no queues, and the rest is shown all the same."""
    stage.open("a")
    assert shown(stage).value("queue_messages", queue="bide.submit") == 3
    found = Shown(read(stage.server, lambda: None))
    assert found.samples("queue_messages") == []
    assert found.value("broker_up") == 0
    assert found.value("up") == 1
    assert found.of_account("jobs", state="queued") == 1


def test_runs_are_summed_up(stage: Stage) -> None:
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
        stage.server.hset(f"{run_prefix(f'r{number}')}record", mapping=fields)
        stage.server.zadd(RUNS_KEY, {f"r{number}": stage.clock.now})
    stage.server.hset(f"{run_prefix('r0')}record", "state", "paused")
    found = shown(stage)
    assert found.value("runs", state="paused") == 1
    assert found.value("runs", state="running") == SHOWN_RUNS + 2
    assert found.value("runs_rows", state="succeeded") == 10 * (SHOWN_RUNS + 3)
    assert found.value("run_rows", run="r12") == 112
    assert found.value("run_done_rows", run="r12") == 11
    assert {labels["run"] for labels in found.samples("run_rows")} == {f"r{number}" for number in range(3, 13)}
    assert found.value("runs_rows", state="left") == 13 * 89 + sum(range(13))


def test_cardinality_is_bounded(stage: Stage) -> None:
    """Whatever accounts requests have named: so many are shown, and it is said how many are not."""
    stage.server.sadd("bide:accounts", *(f"photogpt/a{number}" for number in range(MOST_ACCOUNTS + 7)))
    found = shown(stage)
    assert len(found.samples("in_flight")) == MOST_ACCOUNTS
    assert found.value("accounts_left_out") == 7
    per_account = sum(len(metric.samples) for metric in found.collect()) / MOST_ACCOUNTS
    assert per_account < 120


def test_no_job_stands_in_a_label(stage: Stage) -> None:
    """Ids of jobs come and go by the million."""
    stage.running("j-in-a-label")
    stage.unconfirmed("j-in-a-doubt")
    values = {value for metric in shown(stage).collect() for one in metric.samples for value in one.labels.values()}
    assert not [value for value in values if value.startswith("j-")]


def test_a_large_ledger_is_read_page_by_page(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """No script holds Redis up for long, and none of the jobs is left out."""
    monkeypatch.setattr("bide.ledger.census.PAGE", 3)
    for number in range(7):
        stage.open(f"j{number}")
    assert shown(stage).of_account("jobs", state="queued") == 7


def test_reading_moves_nothing(stage: Stage) -> None:
    """A scrape leaves everything as it was."""
    stage.open("a")
    stage.running("b")
    before = snapshot(stage.server)
    shown(stage)
    assert snapshot(stage.server) == before
    assert stage.server.exists(f"{prefix(ACCOUNT)}account")
