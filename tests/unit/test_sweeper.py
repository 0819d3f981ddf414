"""The sweeper: whose turn it is, how far one sweep goes, and what it does about an account that breaks."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import cast

import pytest
from celery import Celery
from structlog.testing import capture_logs

from bide.bulk.record import Options
from bide.bulk.runs import Runs
from bide.ledger import AccountName, Limits, Messages
from bide.ledger.callbacks import CallbackScripts
from bide.ledger.keys import prefix
from tests.contract.ledger_stage import ACCOUNT, Stage
from workers.metrics.counted import REPAIRS
from workers.metrics.tally import Tally, metrics_key
from workers.services.dispatcher import Dispatcher
from workers.services.sweeper import DEPUTY_KEY, LOCK_KEY, PAGE, Sweeper


@dataclass
class Sent:
    """A dispatcher that keeps what it is to send."""

    job_ids: list[str] = field(default_factory=list)
    run_ids: list[str] = field(default_factory=list)
    callbacks: list[AccountName] = field(default_factory=list)

    def send(self, messages: Messages) -> None:
        self.callbacks += [messages.callbacks] if messages.callbacks else []
        self.job_ids += [hint.job_id for hint in messages.hints]

    def look_at_run(self, run_id: str) -> None:
        self.run_ids.append(run_id)


#: Locks outlive a test, however slow its machine [seconds].
UNHURRIED = 60.0


@dataclass
class Tools:
    """What sweeping takes."""

    stage: Stage
    dispatcher: Sent = field(default_factory=Sent)
    sweep_seconds: float = 0.1
    tally: Tally = field(default_factory=Tally)

    @property
    def callbacks(self) -> CallbackScripts:
        return self.stage.ledger.callbacks

    @property
    def runs(self) -> Runs:
        return Runs(self.stage.server)


@pytest.fixture
def tools(stage: Stage) -> Tools:
    """Its tools."""
    return Tools(stage)


def sweeper_of(tools: Tools) -> Sweeper:
    """One process's sweeper, its timer not started."""
    app = Celery(broker="memory://", set_as_current=False)
    dispatcher = cast(Dispatcher, tools.dispatcher)
    return Sweeper(
        app,
        tools.stage.ledger,
        tools.runs,
        dispatcher,
        sweep_seconds=tools.sweep_seconds,
        tally=tools.tally,
    )


def test_one_sweep_sends_more_than_a_page(stage: Stage, tools: Tools) -> None:
    """After a flushed queue all hints are sent again at once, not a page each time."""
    jobs = [f"j{number}" for number in range(PAGE + 10)]
    stage.limits[ACCOUNT] = Limits(max_in_flight=len(jobs))
    for job_id in jobs:
        stage.open(job_id)
    assert len(stage.ledger.accounts.admit(ACCOUNT, most=len(jobs)).hints) == len(jobs)
    stage.clock.advance(20)
    sweeper_of(tools).sweep()
    assert sorted(tools.dispatcher.job_ids) == sorted(jobs)


def test_a_broken_account_does_not_stop_the_others(stage: Stage, tools: Tools) -> None:
    """It is logged, and the accounts after it are swept."""
    stage.open("a")
    stage.server.sadd("bide:accounts", "broken/first")
    stage.server.set("bide:{broken/first}:lease", "no sorted set")
    with capture_logs() as logs:
        assert sweeper_of(tools).sweep() == 1
    assert [entry["account"] for entry in logs if entry["event"] == "sweeper.account_broke"] == ["broken/first"]
    assert tools.dispatcher.job_ids == ["a"]


def test_due_callbacks_are_handed_on(stage: Stage, tools: Tools) -> None:
    """However they were lost; one that is claimed, or to be tried later, is left alone."""
    stage.finished("a", callback_url="https://example.com/")
    sweeper_of(tools).sweep()
    assert tools.dispatcher.callbacks == [ACCOUNT]
    tools.callbacks.claim(ACCOUNT, most=1, seconds=30)
    sweeper_of(tools).sweep()
    assert tools.dispatcher.callbacks == [ACCOUNT]


def test_one_sweeps_one_watches_and_the_others_rest(stage: Stage, tools: Tools) -> None:
    """However many processes there are: each account costs two of them a look."""
    tools.sweep_seconds = UNHURRIED
    processes = [sweeper_of(tools) for _ in range(4)]
    stage.open("a")
    stage.clock.advance(20)
    for process in processes:
        process.take_turn()
        assert tools.dispatcher.job_ids == ["a"], "sent again by the first alone"
        stage.clock.advance(1)
    assert watched_at(stage) == stage.clock.now - 3, "by the second, and by nobody after it"
    assert all(0 < stage.server.pttl(key) <= 72_000 for key in (LOCK_KEY, DEPUTY_KEY))


def test_a_deputy_takes_over(stage: Stage, tools: Tools) -> None:
    """A living process finds at its next look that the lock has run out; another one becomes the deputy."""
    tools.sweep_seconds = UNHURRIED
    gone, deputy, third = sweeper_of(tools), sweeper_of(tools), sweeper_of(tools)
    gone.take_turn()
    deputy.take_turn()
    stage.server.delete(LOCK_KEY)
    stage.open("a")
    deputy.take_turn()
    assert tools.dispatcher.job_ids == ["a"]
    stage.clock.advance(1)
    third.take_turn()
    assert watched_at(stage) == stage.clock.now - 1, "the deputy's old part has not run out yet"
    stage.server.delete(DEPUTY_KEY)
    third.take_turn()
    assert watched_at(stage) == stage.clock.now
    assert tools.dispatcher.job_ids == ["a"]


def test_a_run_that_nobody_looked_at_in_time_is_looked_at(tools: Tools) -> None:
    """Its message was lost, or its feeder; one that is not due yet is left alone."""
    for run_id in ("late", "early"):
        tools.runs.create(run_id, rows=1, digest="d", source="test", options=Options())
    tools.stage.server.zadd("bide:runs", {"late": 1, "early": time.time() + 3600})
    sweeper_of(tools).sweep()
    assert tools.dispatcher.run_ids == ["late"]


def test_counts_are_kept_by_every_process(stage: Stage, tools: Tools) -> None:
    """The process that mends counts repairs, and its timer writes them, at its end too."""
    stage.open("a", deadline_seconds=60)
    stage.clock.advance(100)
    sweeper = sweeper_of(tools)
    sweeper.sweep()
    sweeper.start()
    sweeper.stop()
    kept = stage.server.hgetall(metrics_key(ACCOUNT))
    assert kept["repairs:deadline"] == kept["failed_jobs:deadline"] == "1"


def test_counts_that_can_not_be_kept_stop_no_sweep(stage: Stage, tools: Tools) -> None:
    """A key in the way is logged, and the counts stay for another time."""
    tools.tally.count(ACCOUNT, REPAIRS, "deadline")
    stage.server.set(metrics_key(ACCOUNT), "no hash")
    with capture_logs() as logs:
        sweeper_of(tools)._keep_counts()
    assert [entry["event"] for entry in logs] == ["sweeper.counts_not_kept"]
    stage.server.delete(metrics_key(ACCOUNT))
    tools.tally.flush(stage.server)
    assert stage.server.hget(metrics_key(ACCOUNT), "repairs:deadline") == "1"


def watched_at(stage: Stage) -> float:
    """When a process last looked at the account."""
    return float(str(stage.server.hget(f"{prefix(ACCOUNT)}account", "swept_at")))
