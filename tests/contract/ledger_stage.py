"""A ledger with a clock to turn, and helpers that bring its jobs into each state."""

from __future__ import annotations

import itertools
from math import ceil
from typing import Any

import fakeredis
import redis

from bide.contract import GenerateRequest, JobState
from bide.ledger import AccountName, Claim, Hint, Ledger, Limits, Messages, Polled, Record, Round, Step, Verb
from bide.ledger.keys import prefix
from bide.ledger.records import Timing
from bide.ledger.settling import Promise
from bide.money.quote import Quote

ACCOUNT = AccountName("photogpt", "default")
SIGNATURE = '{"root_id":"r"}'
ERROR = '{"code":"rejected","message":"no","job_id":""}'


#: When the first jobs of a stage are opened [seconds since the epoch], and how their records have it.
BEGINS = 1_700_000_000.0
CREATED = f"{BEGINS:.3f}"


class Clock:
    """The ledger's time, turned by hand [seconds since the epoch]."""

    def __init__(self) -> None:
        self.now = BEGINS

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def request_of(account: AccountName = ACCOUNT, **changes: Any) -> GenerateRequest:
    """A valid request to `account`."""
    fields: dict[str, Any] = {"operation": "images.generation", "params": {"modelID": "m1", "prompt": "a red fox"}}
    return GenerateRequest(provider=account.provider, account=account.account, **{**fields, **changes})


class Stage:
    """One ledger under test, on any server."""

    def __init__(self, server: redis.Redis, clock: Clock, *, packs: bool = False) -> None:
        self.server, self.clock = server, clock
        self.limits: dict[AccountName, Limits] = {}
        limits, timing = lambda account: self.limits.get(account, Limits()), Timing(packs=packs)
        self.ledger = Ledger(server, limits=limits, timing=timing, clock=clock)
        self._numbers = itertools.count(1)

    @classmethod
    def in_memory(cls, *, packs: bool = False) -> Stage:
        """A ledger on a Redis in memory; `packs`: finished records are packed, as workers do it."""
        return cls(fakeredis.FakeRedis(decode_responses=True, version=(7,)), Clock(), packs=packs)

    def token(self) -> str:
        """A token that no lease had before."""
        return f"token-{next(self._numbers)}"

    # Messages

    def open(self, job_id: str, *, signature: str = "", **changes: Any) -> Step:
        """What `bide.Client` does before it sends a message."""
        return self.ledger.jobs.open(job_id, request_of(**changes), deadline_seconds=1800, signature=signature)

    def arrive(self, job_id: str, *, token: str = "", signature: str = SIGNATURE, **changes: Any) -> Step:
        """The caller's own message arrives."""
        request = request_of(**changes)
        token = token or self.token()
        return self.ledger.jobs.step(
            job_id, AccountName.of(request), token=token, request=request, deadline_seconds=1800, signature=signature
        )

    def resume(self, job_id: str, *, token: str = "", account: AccountName = ACCOUNT) -> Step:
        """A hint arrives."""
        return self.ledger.jobs.step(job_id, account, token=token or self.token())

    # Taking a job somewhere

    def submitting(self, job_id: str, *, quote: Quote | None = None, **changes: Any) -> tuple[Record, str, int]:
        """A new job whose intent is written: record, token, attempt."""
        token = self.token()
        record = taken(self.arrive(job_id, token=token, **changes), Verb.SUBMIT)
        return record, token, self.ledger.submits.intend(record, token, quote=quote)

    def running(self, job_id: str, *, first_poll_seconds: float = 2.0, **changes: Any) -> Messages:
        """A new job that the provider accepted."""
        record, token, attempt = self.submitting(job_id, **changes)
        return self.ledger.submits.submitted(
            record, token, attempt=attempt, provider_job_id=f"p-{job_id}", first_poll_seconds=first_poll_seconds
        )

    def storing(self, job_id: str, **changes: Any) -> tuple[Record, str]:
        """A new job that was done at once, and whose result a worker fetches: record, token."""
        record, token, attempt = self.submitting(job_id, **changes)
        self.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id=f"p-{job_id}", outputs="[]")
        token = self.token()
        return taken(self.resume(job_id, token=token), Verb.STORE), token

    def finished(self, job_id: str, **changes: Any) -> None:
        """A new job that succeeded, and whose own caller has the answer."""
        record, token = self.storing(job_id, **changes)
        assert self.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result="{}")
        self.ledger.jobs.answered(ACCOUNT, job_id)

    def unconfirmed(self, job_id: str, **changes: Any) -> tuple[Record, str, int]:
        """A new job whose submit got no answer, and whose own caller knows: record, token, attempt."""
        record, token, attempt = self.submitting(job_id, **changes)
        assert self.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        self.ledger.jobs.answered(ACCOUNT, job_id)
        return record, token, attempt

    # Looking

    def state(self, job_id: str) -> str:
        return self.field(job_id, "state")

    def field(self, job_id: str, name: str) -> str:
        return str(self.server.hget(f"{prefix(ACCOUNT)}job:{job_id}", name) or "")

    def clocks(self, job_id: str) -> set[str]:
        """The clocks and lists that a job stands on."""
        names = ("queued", "lease", "due", "unconfirmed")
        found = {name for name in names if self.server.zscore(prefix(ACCOUNT) + name, job_id) is not None}
        return found | ({"inflight"} if self.server.sismember(prefix(ACCOUNT) + "inflight", job_id) else set())

    def ttl(self, kind: str, job_id: str) -> int:
        """How long `job`, `body` or `followers` of a job is kept; see `ttl_of`."""
        return self.ttl_of(f"{prefix(ACCOUNT)}{kind}:{job_id}")

    def ttl_of(self, key: str | bytes) -> int:
        """How long a key is kept, to the next minute, since Redis's time goes on [seconds]; -1 ever, -2 no such key."""
        left = int(self.server.ttl(key))
        return left if left < 0 else 60 * ceil(left / 60)

    def account(self, name: str) -> float:
        return float(self.server.hget(f"{prefix(ACCOUNT)}account", name) or 0)


class Crew:
    """Workers that do everything right, and a post that loses nothing, for a provider that accepts everything."""

    def __init__(self, ledger: Ledger, clock: Clock, *, copies: int = 1) -> None:
        self.ledger, self.clock, self.copies = ledger, clock, copies
        self.post: list[tuple[float, Hint | Round]] = []
        self.answers: dict[str, str] = {}
        self.rounds_run = 0
        self._tokens = (f"crew-{number}" for number in itertools.count(1))

    def send(self, messages: Messages) -> None:
        """Put messages into the post, each as often as `copies` says."""
        sent: list[Hint | Round] = [*messages.hints, *([messages.round] if messages.round else [])]
        self.post += [(self.clock.now + one.countdown_seconds, one) for one in sent for _ in range(self.copies)]

    def work(self) -> None:
        """Take the messages that have arrived, and act on them, until nothing is left that could be acted on."""
        while arrived := [one for one in self.post if one[0] <= self.clock.now + 0.001]:
            self.post = [one for one in self.post if one not in arrived]
            for _, one in arrived:
                if isinstance(one, Round):
                    self.run_round(one)
                else:
                    self.follow_hint(one)

    def sweep(self) -> None:
        """Have every account swept."""
        for account in self.ledger.accounts.names():
            messages, _, _ = self.ledger.accounts.sweep(account)
            self.send(messages)
            self.send(self.ledger.accounts.admit(account))

    def run_round(self, one: Round) -> Claim:
        """Run one polling round: all jobs that it claims have ended."""
        claim = self.ledger.polls.claim(one.account, one.seq, batch=50)
        if claim.current:
            self.rounds_run += 1
            self.send(Messages(round=claim.round))
            self.send(self.ledger.polls.record(one.account, [Polled(job.job_id, "ended") for job in claim.jobs]))
            self.send(self.ledger.accounts.admit(one.account))
        return claim

    def follow_hint(self, one: Hint) -> None:
        """Take the step that a message leads to."""
        token = next(self._tokens)
        step = self.ledger.jobs.step(one.job_id, one.account, token=token)
        record = step.record
        if step.verb is Verb.SUBMIT and record:
            self._submit(record, token)
        elif step.verb is Verb.STORE and record:
            if self.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result="{}"):
                self._answer(one.account, one.job_id, "succeeded")
        elif step.verb is Verb.ANSWER and record:
            self._answer(one.account, one.job_id, record.state)
        elif step.verb is Verb.FOLLOW:
            leader = self.ledger.jobs.read(one.account, step.other)
            if leader and leader.following is None and (leader.state.final or leader.state is JobState.UNCONFIRMED):
                self._answer(one.account, one.job_id, leader.state, leader=step.other)

    def _submit(self, record: Record, token: str) -> None:
        promise = same_promise(record)
        quote = self.quote(record, promise)
        if (attempt := self.ledger.submits.intend(record, token, promise=promise, quote=quote)) > 0:
            self.begun(record, attempt, promise, token)
            pid = f"p-{record.job_id}"
            accepted = self.ledger.submits.submitted(
                record, token, attempt=attempt, provider_job_id=pid, first_poll_seconds=2
            )
            self.send(accepted)

    def quote(self, record: Record, promise: Promise) -> Quote | None:
        """What a purchase costs; none stands in the book."""
        return None

    def begun(self, record: Record, attempt: int, promise: Promise, token: str) -> None:
        """A submit is made, and will be accepted."""

    def _answer(self, account: AccountName, job_id: str, state: str, *, leader: str = "") -> None:
        self.answers[job_id] = state
        self.send(self.ledger.jobs.answered(account, job_id, leader=leader))


def same_promise(record: Record) -> Promise:
    """What a worker sends a doubtful submit with: the same as before."""
    return Promise(
        contract=record.text("contract"),
        free=record.text("free") == "1",
        key=record.text("submit_key"),
        digest=record.text("submit_digest"),
        live_seconds=3600,
        sending_seconds=60,
    )


def taken(step: Step, verb: Verb) -> Record:
    """The record of a step that must have been taken."""
    assert step.verb is verb, step
    assert step.record is not None
    return step.record
