"""A caller's answer counts once replicas have it: one that a failover took along is given again."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis

from bide.contract import JobState
from bide.ledger import Verb
from bide.ledger.safety import Safety
from tests.contract.ledger_stage import ACCOUNT, SIGNATURE, Stage
from tests.unit.replicas import ReplicatedRedis
from workers.services.answer_check import AnswerCheck

ONE = Safety(replicas=1, seconds=0.5)


class Backend:
    """As much of Celery's result backend as the check takes."""

    def __init__(self) -> None:
        self.client = ReplicatedRedis()

    def get_key_for_task(self, job_id: str) -> str:
        return f"celery-task-meta-{job_id}"

    def decode_result(self, content: str) -> Any:
        return json.loads(content)

    def store(self, status: str) -> None:
        self.client.set(self.get_key_for_task("a"), json.dumps({"status": status}))


@pytest.fixture
def stage() -> Stage:
    """A ledger in memory."""
    return Stage.in_memory()


@pytest.mark.parametrize("status", ["SUCCESS", "FAILURE"])
def test_an_answer_is_safe_once_replicas_have_it(status: str) -> None:
    """The connection that reads it waits for the replicas of the same server."""
    backend = Backend()
    backend.store(status)
    assert AnswerCheck(backend, ONE).why_unsafe("a") == ""
    assert backend.client.waits == [(1, 500)]
    backend.client.acknowledge = lambda: 0
    assert "0 of 1 replicas" in AnswerCheck(backend, ONE).why_unsafe("a")


@pytest.mark.parametrize("status", ["", "RETRY"])
def test_an_answer_that_another_server_has_is_not_safe(status: str) -> None:
    """It went to the old leader, and the new one has none, or what was there before."""
    backend = Backend()
    if status:
        backend.store(status)
    assert "does not have it" in AnswerCheck(backend, ONE).why_unsafe("a")


def test_a_server_that_does_not_answer_says_nothing_good() -> None:
    """The reason is the server's."""
    backend = Backend()
    backend.store("SUCCESS")
    backend.client.acknowledge = lambda: redis.ResponseError("UNBLOCKED it has become a replica")
    assert "UNBLOCKED" in AnswerCheck(backend, ONE).why_unsafe("a")


def test_the_disk_asks_for_nothing() -> None:
    """No round trip is added."""
    assert AnswerCheck(None, Safety()).why_unsafe("a") == ""


def test_an_answer_that_is_not_safe_is_given_again(stage: Stage) -> None:
    """As often as it takes: that counts as no worker's death, and ends with the first safe answer."""
    record, token = stage.storing("a")
    stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result="{}")
    for _ in range(5):
        stage.ledger.jobs.answered(ACCOUNT, "a", again=True)
        assert stage.field("a", "answered") == ""
        stage.clock.advance(20)
        messages, _, _ = stage.ledger.accounts.sweep(ACCOUNT)
        assert [hint.job_id for hint in messages.hints] == ["a"]
        assert stage.resume("a").verb is Verb.ANSWER
    assert stage.field("a", "crashes") == ""

    stage.ledger.jobs.answered(ACCOUNT, "a")
    assert (stage.state("a"), stage.clocks("a")) == (JobState.SUCCEEDED, set())


def test_a_follower_whose_answer_is_not_safe_hears_again(stage: Stage) -> None:
    """The job's own caller has its answer meanwhile."""
    record, token = stage.storing("a", idempotency_key="k")
    stage.arrive("b", idempotency_key="k", signature=SIGNATURE)
    stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result="{}")
    stage.ledger.jobs.answered(ACCOUNT, "a")
    stage.ledger.jobs.answered(ACCOUNT, "b", leader="a", known_state="succeeded", again=True)
    stage.clock.advance(20)
    messages, _, _ = stage.ledger.accounts.sweep(ACCOUNT)
    assert [hint.job_id for hint in messages.hints] == ["b"]
    stage.ledger.jobs.answered(ACCOUNT, "b", leader="a", known_state="succeeded")
    assert stage.clocks("a") == set()
