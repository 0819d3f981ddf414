"""With `BIDE_LEDGER__SAFE=replica` nothing is sent, accepted or let go before replicas have acknowledged it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from bide.bulk.record import Options as RunOptions
from bide.bulk.runs import Runs
from bide.client.opening import Wanted, open_jobs
from bide.contract import JobState
from bide.errors import NotReplicatedError
from bide.ledger import Ledger, Record, Step, Verb
from bide.ledger.safety import LEDGER_KEY, Safety, announce
from bide.providers import find, installed
from tasks.steps.enter import Message, enter
from tasks.steps.outcome import Outcome, Suspend
from tasks.steps.submit import submit
from tests.contract.ledger_stage import ACCOUNT as PHOTOGPT
from tests.contract.ledger_stage import ERROR, Clock, Stage, request_of, same_promise, taken
from tests.unit.atelier import ACCEPTED, ACCOUNT, BASE, Atelier, AtelierAdapter
from tests.unit.replicas import ReplicatedRedis
from workers.telemetry.step_log import StepLog

ONE = Safety(replicas=1, seconds=0.5)


class Acknowledgements:
    """What replicas say to one WAIT after the other; the last answer stays."""

    def __init__(self, *answers: int | redis.RedisError) -> None:
        self._answers = [*answers]

    def __call__(self) -> int | redis.RedisError:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class SafeAtelier(Atelier):
    """The workshop's provider, with a ledger that has replicas."""

    server: ReplicatedRedis

    def __init__(self) -> None:
        super().__init__()
        self.server = ReplicatedRedis()
        self.ledger = Ledger(self.server, clock=self.clock, safety=ONE)
        self.configure()
        self.reply("POST", f"{BASE}/works", ACCEPTED)

    def _bought(self, step: Step, token: str) -> Outcome:
        assert step.record is not None
        tools: Any = self
        with StepLog("job.step") as self.line:
            return submit(tools, step.record, token, now=step.now)

    @property
    def state(self) -> str:
        return self.field("state")

    def field(self, name: str) -> str:
        """A field of the job's record."""
        return self.record().text(name)


@pytest.fixture
def atelier(monkeypatch: pytest.MonkeyPatch) -> Iterator[SafeAtelier]:
    """A deployment in memory; what is tried again is tried at once, and an intent is taken back once."""
    monkeypatch.setattr("tasks.steps.purchase.ANSWER_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr("tasks.steps.put_off.TAKE_BACK_SECONDS", 0.0)
    installed()["atelier"] = AtelierAdapter()
    world = SafeAtelier()
    try:
        yield world
    finally:
        world.event_loop.stop()
        del installed()["atelier"]


@pytest.fixture
def stage() -> Stage:
    """A ledger that waits for one replica."""
    stage = Stage(ReplicatedRedis(), Clock())
    stage.ledger = Ledger(stage.server, clock=stage.clock, safety=ONE)
    return stage


def test_a_safe_intent_is_sent(atelier: SafeAtelier) -> None:
    """The record, the intent and the id were each acknowledged, by as many and within the time that is set."""
    atelier.submit()

    assert atelier.calls == [("POST", f"{BASE}/works")]
    assert atelier.server.waits == [(1, 500)] * 3


@pytest.mark.parametrize("answer", [0, redis.ResponseError("NOPERM this user has no permissions")], ids=str)
def test_an_intent_that_is_not_safe_is_not_sent(atelier: SafeAtelier, answer: int | redis.RedisError) -> None:
    """The job waits in line, the record says why, and it is bought once replicas follow again."""
    atelier.server.acknowledge = Acknowledgements(1, answer)
    outcome = atelier.submit()

    assert isinstance(outcome, Suspend)
    assert atelier.calls == []
    assert atelier.state == JobState.QUEUED
    assert "not sent: " in atelier.field("note")
    assert ("0 of 1 replicas" if answer == 0 else "WAIT is refused") in atelier.field("note")
    assert atelier.line.facts["outcome"] == "not_sent"

    atelier.server.acknowledge = lambda: 1
    atelier.clock.advance(10)
    atelier.again()

    assert len(atelier.calls) == 1
    assert atelier.state == JobState.RUNNING


def test_an_intent_that_survived_alone_is_unconfirmed(stage: Stage) -> None:
    """A new leader has the intent and no more: when the lease runs out nothing is submitted anew."""
    stage.submitting("a")
    stage.clock.advance(60)
    stage.ledger.accounts.sweep(PHOTOGPT)
    stage.clock.advance(60)
    stage.ledger.accounts.sweep(PHOTOGPT)

    assert stage.state("a") == JobState.UNCONFIRMED
    assert stage.resume("a").verb is Verb.ANSWER


def test_only_the_own_intent_is_taken_back(stage: Stage) -> None:
    """On a new leader another worker's attempt may have the same number, and its request may be on its way."""
    record, _, attempt = stage.submitting("a")
    messages = stage.ledger.submits.take_back(record, "another lease", seconds=3, reason="not safe")

    assert attempt == 1
    assert not messages.hints
    assert stage.state("a") == JobState.SUBMITTING
    stage.ledger.jobs.conclude(record, "token-1", JobState.UNCONFIRMED, error=ERROR)
    stage.ledger.submits.take_back(record, "token-1", seconds=3, reason="not safe")
    assert stage.state("a") == JobState.UNCONFIRMED


def test_an_intent_that_a_new_leader_lacks_is_taken_back_there(stage: Stage) -> None:
    """The new leader has the lease alone: the job is in line, and no attempt stands in its record."""
    token = stage.token()
    record = taken(stage.arrive("a", token=token), Verb.SUBMIT)
    stage.ledger.submits.take_back(record, token, seconds=3, reason="not safe")

    assert (stage.state("a"), stage.field("a", "submits"), stage.clocks("a")) == (JobState.QUEUED, "", {"queued"})


def test_a_canceled_intent_is_canceled(stage: Stage) -> None:
    """It was canceled while its intent was written, and nothing was bought."""
    record, token, _ = stage.submitting("a")
    stage.ledger.jobs.cancel(PHOTOGPT, "a", at_provider=True)
    messages = stage.ledger.submits.take_back(record, token, seconds=3, reason="not safe")

    assert stage.state("a") == JobState.CANCELED
    assert [hint.job_id for hint in messages.hints] == ["a"]


def test_a_doubt_stays_one(stage: Stage) -> None:
    """An earlier submit may have been accepted; that this one was not sent settles nothing."""
    token = stage.token()
    record = taken(stage.arrive("a", token=token), Verb.SUBMIT)
    promise = same_promise(Record("a", PHOTOGPT, {"contract": "replay", "submit_key": "k", "submit_digest": "d"}))
    stage.ledger.submits.intend(record, token, promise=promise)
    for _ in range(2):
        stage.clock.advance(30)
        stage.ledger.accounts.sweep(PHOTOGPT)
    assert stage.field("a", "doubted") == "1"
    stage.clock.advance(30)
    again = stage.token()
    record = taken(stage.resume("a", token=again), Verb.SUBMIT)
    assert stage.ledger.submits.intend(record, again, promise=same_promise(record)) == 2
    stage.ledger.submits.take_back(record, again, seconds=3, reason="not safe")

    assert stage.state("a") == JobState.SUBMITTING
    assert (stage.field("a", "doubted"), stage.field("a", "settling")) == ("1", "1")


def test_an_accepted_id_is_kept_until_it_is_safe(atelier: SafeAtelier) -> None:
    """The worker records it again and again; nothing is bought twice, and the polls are scheduled."""
    atelier.server.acknowledge = Acknowledgements(1, 1, 0, 0, 1)
    outcome = atelier.submit()

    assert isinstance(outcome, Suspend)
    assert outcome.messages.round is not None
    assert len(atelier.calls) == 1
    assert (atelier.state, atelier.field("pid")) == (JobState.RUNNING, "7")
    assert len(atelier.server.waits) == 5


def test_an_accepted_id_is_found_again_after_a_failover(atelier: SafeAtelier) -> None:
    """The new leader knows of the intent alone: the worker records the id there, too."""
    key = f"bide:{{{ACCOUNT}}}:job:a"
    intended: dict[Any, Any] = {}

    def acknowledge() -> int:
        if len(atelier.server.waits) == 2:
            intended.update(atelier.server.hgetall(key))
        if len(atelier.server.waits) == 3:  # the leader is lost that had recorded the id
            atelier.server.delete(key)
            atelier.server.hset(key, mapping=intended)
            return 0
        return 1

    atelier.server.acknowledge = acknowledge
    atelier.submit()

    assert (atelier.state, atelier.field("pid"), len(atelier.calls)) == (JobState.RUNNING, "7", 1)


def test_a_job_is_not_accepted_before_it_is_safe() -> None:
    """A client knows no settings: it waits as the workers have announced, and says where that was in vain."""
    server = ReplicatedRedis()
    announce(server, ONE)
    ledger, wanted = Ledger(server), [Wanted("a", request_of(), find("photogpt"))]
    server.acknowledge = lambda: 0
    post: Any = Post()

    with pytest.raises(NotReplicatedError, match="0 of 1 replicas") as caught:
        open_jobs(ledger, post, wanted)

    assert "'a'" in str(caught.value.__notes__)
    assert post.sent == []
    server.acknowledge = lambda: 1
    assert open_jobs(ledger, post, wanted) == ["a"]
    assert post.sent == ["a"]


def test_a_client_learns_of_a_change_with_its_next_job() -> None:
    """No round trip is added where the disk is safe enough."""
    server = ReplicatedRedis()
    ledger = Ledger(server)
    ledger.jobs.open("a", request_of(), deadline_seconds=60)
    assert server.waits == []
    announce(server, ONE)
    ledger.jobs.open("b", request_of(), deadline_seconds=60)
    assert server.waits == [(1, 500)]
    announce(server, Safety())
    ledger.jobs.open("c", request_of(), deadline_seconds=60)
    ledger.jobs.open("d", request_of(), deadline_seconds=60)
    assert len(server.waits) == 2


def test_a_server_without_announcement_is_as_safe_as_its_disk() -> None:
    """Also one whose key is of another kind, or closed to the client."""
    server = ReplicatedRedis()
    server.set(LEDGER_KEY, "odd")
    Ledger(server).jobs.open("a", request_of(), deadline_seconds=60)
    assert server.waits == []


def test_a_new_leader_without_announcement_is_waited_for_as_the_old_one() -> None:
    """A failover may lose the announcement: until the workers' next one the client goes by what it knew."""
    server = ReplicatedRedis()
    announce(server, Safety(1, 0.5))
    ledger = Ledger(server)
    ledger.jobs.open("a", request_of(), deadline_seconds=900)
    server.flushall()
    ledger.jobs.open("b", request_of(), deadline_seconds=900)
    server.acknowledge = lambda: 0
    with pytest.raises(NotReplicatedError):
        ledger.jobs.open("c", request_of(), deadline_seconds=900)


def test_a_message_is_kept_until_its_record_is_safe(atelier: SafeAtelier) -> None:
    """Its job goes back in line, so that its lease does not count as a dead worker's; then the message comes again."""
    tools: Any = atelier
    params = {"request": {"provider": "atelier", "operation": "paint", "params": {"motif": "a fox"}}}
    message = Message("a", kwargs=params)
    atelier.server.acknowledge = lambda: 0

    with pytest.raises(NotReplicatedError):
        enter(tools, message)

    assert atelier.state == JobState.QUEUED
    assert atelier.server.zscore(f"bide:{{{ACCOUNT}}}:lease", "a") is None
    atelier.server.acknowledge = lambda: 1
    atelier.clock.advance(10)
    assert getattr(enter(tools, message), "step").verb is Verb.SUBMIT  # noqa: B009 - an outcome has no step


class Post:
    """Notes whose messages are sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def submit_many(self, jobs: list[tuple[str, object]]) -> None:
        self.sent += [job_id for job_id, _ in jobs]


def test_a_run_has_begun_once_that_is_safe() -> None:
    """Its input lies in the bucket, and its record is all that says so."""
    server = ReplicatedRedis()
    runs = Runs(server)
    announce(server, ONE)
    runs.create("run-1", rows=1, digest="d", source="s", options=RunOptions())
    server.acknowledge = lambda: 0
    with pytest.raises(NotReplicatedError):
        runs.begin("run-1")
    server.acknowledge = lambda: 1
    runs.create("run-2", rows=1, digest="d", source="s", options=RunOptions())
    assert runs.begin("run-2")
    assert server.waits == [(1, 500)] * 2
