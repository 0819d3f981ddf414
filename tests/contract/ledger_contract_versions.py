"""The ledger's contract about records of another version of bide: left to that version, and reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from bide.ledger import Limits, Verb, scripts
from bide.ledger.keys import prefix
from bide.ledger.records import RECORD_VERSION
from tests.contract.ledger_stage import ACCOUNT, Clock, Crew, Stage

#: A job at each place where a process might take it up.
PLACES: Mapping[str, Callable[[Stage], Any]] = {
    "in line": lambda stage: stage.open("a"),
    "submitting": lambda stage: stage.submitting("a"),
    "at the provider": lambda stage: stage.running("a"),
    "storing": lambda stage: stage.storing("a"),
}


class VersionsContract:
    """Two versions share one ledger while a deployment rolls."""

    def test_the_scripts_know_the_version_that_is_written(self) -> None:
        """The version in the scripts is made from Python's `RECORD_VERSION`."""
        assert f"local VERSION = '{RECORD_VERSION}'" in scripts.account.Sweep.text()

    @pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
    def test_a_record_of_another_version_is_left_alone(
        self, stage: Stage, clock: Clock, place: Callable[[Stage], Any]
    ) -> None:
        """Sweeps, rounds, messages and cancels leave the record as it is; its own version goes on with it."""
        place(stage)
        of_another_version(stage, "a", True)
        before, crew = record(stage, "a"), Crew(stage.ledger, clock)

        for _ in range(60):
            clock.advance(60)
            crew.sweep()
            crew.work()
        assert stage.resume("a").verb is stage.arrive("a").verb is Verb.VERSION
        assert stage.ledger.jobs.cancel(ACCOUNT, "a")[0] == Verb.VERSION
        assert record(stage, "a") == before
        assert len(stage.clocks("a") - {"inflight"}) == 1

        of_another_version(stage, "a", False)
        stage.server.hset(f"{prefix(ACCOUNT)}job:a", "deadline", clock.now + 1800)
        for _ in range(20):
            clock.advance(20)
            crew.sweep()
            crew.work()
        assert crew.answers["a"] in ("succeeded", "unconfirmed")

    def test_it_stands_in_no_ones_way(self, stage: Stage, clock: Clock) -> None:
        """Jobs behind a record of another version are let in, and jobs beside it are polled."""
        stage.limits[ACCOUNT] = Limits(max_in_flight=2)
        stage.running("at the provider")
        stage.open("first in line")
        for one in ("at the provider", "first in line"):
            of_another_version(stage, one, True)
        stage.open("ours")
        crew = Crew(stage.ledger, clock)

        for _ in range(10):
            clock.advance(20)
            crew.sweep()
            crew.work()

        assert crew.answers == {"ours": "succeeded"}

    @pytest.mark.parametrize("kind", ["interactive", "bulk"])
    def test_it_keeps_no_rounds_busy(self, stage: Stage, kind: str) -> None:
        """A line of records of another version asks for no round, although the account has room."""
        for name in "abc":
            stage.open(name, priority=kind)
            of_another_version(stage, name, True)
        assert stage.ledger.accounts.sweep(ACCOUNT)[0].round is None
        assert stage.ledger.accounts.admit(ACCOUNT).round is None

    def test_many_of_another_version_stand_in_no_ones_way(self, stage: Stage) -> None:
        """Records of another version are set aside once, behind all others; later jobs still pass them."""
        line = f"{prefix(ACCOUNT)}queued"
        for number in range(700):
            stage.server.hset(f"{prefix(ACCOUNT)}job:new{number}", mapping={"v": "99", "state": "queued"})
            stage.server.zadd(line, {f"new{number}": number})
        stage.server.hset(f"{prefix(ACCOUNT)}account", "order", 700)
        for name, priority in (("bulk", "bulk"), ("a", "interactive")):
            stage.open(name, priority=priority)
        let_in = [hint.job_id for _ in range(3) for hint in stage.ledger.accounts.admit(ACCOUNT).hints]
        assert set(let_in) == {"a", "bulk"}
        before = stage.server.zrange(line, 0, -1, withscores=True)
        stage.open("b")
        assert [hint.job_id for hint in stage.ledger.accounts.admit(ACCOUNT).hints] == ["b"]
        assert stage.server.zrange(line, 0, -1, withscores=True) == before, "none is set aside twice"
        assert len(before) == 700

    def test_what_was_set_aside_is_found_by_its_own_version(self, stage: Stage) -> None:
        """Records that were set aside are let in by their own version in their old order, a run's too."""
        for name in "abc":
            stage.open(name, priority="bulk" if name == "c" else "interactive")
            of_another_version(stage, name, True)
        assert stage.ledger.accounts.admit(ACCOUNT).hints == ()
        for name in "abc":
            of_another_version(stage, name, False)
        assert [hint.job_id for hint in stage.ledger.accounts.admit(ACCOUNT).hints] == ["a", "b", "c"]
        assert stage.account("turn") == 1

    def test_the_sweeper_says_what_it_left_alone(self, stage: Stage, clock: Clock) -> None:
        """The sweeper reports each job that waits for another version, for operators who went back to an older one."""
        stage.storing("a")
        of_another_version(stage, "a", True)
        clock.advance(60)

        _, repairs, _ = stage.ledger.accounts.sweep(ACCOUNT)

        assert [(repair.job_id, repair.what) for repair in repairs] == [
            ("a", "left alone: another version of bide wrote its record")
        ]


def of_another_version(stage: Stage, job_id: str, another: bool) -> None:
    """Give the record the version of a newer bide, or of this one."""
    stage.server.hset(f"{prefix(ACCOUNT)}job:{job_id}", "v", "99" if another else RECORD_VERSION)


def record(stage: Stage, job_id: str) -> dict[str, str]:
    """All fields of the job's record."""
    found: dict[str, str] = stage.server.hgetall(f"{prefix(ACCOUNT)}job:{job_id}")  # type: ignore[assignment]  # decoded
    return found
