"""Finished records are packed together by a thread of the worker, and one by one where there is none."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from bide.errors import LedgerAwayError
from bide.ledger import Verb
from tests.contract.ledger_contract_packing import RESULT, is_packed, made, read
from tests.contract.ledger_stage import ACCOUNT, Stage
from workers.services.record_packer import RecordPacker


@pytest.fixture
def stage() -> Stage:
    """A ledger that packs."""
    return Stage.in_memory(packs=True)


@pytest.fixture
def packer(stage: Stage) -> RecordPacker:
    """A packer that has begun, and whose thread packs nothing by itself."""
    packer = RecordPacker(stage.ledger)
    stage.ledger.packer.waits = True
    return packer


def answered(stage: Stage, *job_ids: str) -> None:
    """Jobs that have succeeded, and whose callers know."""
    for job_id in job_ids:
        made(stage, job_id)
        stage.ledger.jobs.answered(ACCOUNT, job_id)


@pytest.mark.usefixtures("packer")
def test_records_wait_and_are_packed_in_one_round_trip(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer waits for the packing of its record."""
    sent: list[int] = []
    run_many = stage.ledger.executor.run_many

    def counted(scripts: Any) -> list[Any]:
        together = list(scripts)
        sent.append(len(together))
        return run_many(together)

    monkeypatch.setattr(stage.ledger.executor, "run_many", counted)
    answered(stage, "a", "b", "c")
    assert not any(is_packed(stage, job_id) for job_id in "abc")

    stage.ledger.packer.flush()

    assert sent == [3]
    assert all(is_packed(stage, job_id) for job_id in "abc")


@pytest.mark.usefixtures("packer")
def test_a_waiting_record_says_what_a_packed_one_says(stage: Stage) -> None:
    """Its message, should it come again, does nothing; its result is the same."""
    answered(stage, "a")

    assert stage.resume("a").verb is Verb.STALE
    assert read(stage).text("result") == RESULT


def test_a_worker_that_stops_packs_what_waits(stage: Stage, packer: RecordPacker) -> None:
    """What ends after that is packed at once."""
    answered(stage, "a")
    packer.stop()
    assert is_packed(stage, "a")

    answered(stage, "b")

    assert is_packed(stage, "b")


def test_the_thread_packs_by_itself(stage: Stage) -> None:
    """It ends with the worker."""
    packer = RecordPacker(stage.ledger)
    packer.start()
    answered(stage, "a")

    packer.stop()

    assert is_packed(stage, "a")
    assert not packer._thread.is_alive()


@pytest.mark.parametrize("error", [LedgerAwayError("away"), redis.ResponseError("no such script")])
def test_a_ledger_that_refuses_leaves_them_whole(
    stage: Stage, packer: RecordPacker, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The thread goes on with the next ones."""
    answered(stage, "a")
    with monkeypatch.context() as patched:
        patched.setattr(stage.ledger.executor, "run_many", lambda _: [error])
        packer._flush()
    answered(stage, "b")

    packer._flush()

    assert not is_packed(stage, "a")
    assert is_packed(stage, "b")
