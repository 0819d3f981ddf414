"""A worker with receipts and two accounts, whose ledger may be lost, or go back to a backup."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from bide.contract import GenerateRequest
from bide.errors import SubmissionUnknownError
from bide.ledger import AccountName, Limits, Step, Verb
from bide.ledger.keys import prefix
from bide.receipts import Accepted
from tasks.steps.ask import ask
from tasks.steps.decision import judge
from tasks.steps.submit import submit
from tests.contract.ledger_invariants import check_account, check_keys, snapshot
from tests.unit.atelier import ACCOUNT, BASE, Killed
from tests.unit.receipts_world import World, opened_as
from workers.telemetry.step_log import StepLog

SECOND = AccountName("atelier", "second")
BOTH = (ACCOUNT, SECOND)

#: What a recovery says of the one job, where its receipt says that it runs.
TAKEN = {"a": ("receipt", "taken", "running")}


class TwoAccounts(World):
    """Jobs of the first account go on at the second one."""

    def configure(self, **settings: str) -> None:
        self.ledger.executor.limits = lambda _: Limits(max_in_flight=self.places)
        super().configure(ACCOUNTS__SECOND__API_KEY="another-key-0123456789", PRICES='{"paint": 0.04}', **settings)

    places = 100

    def lose(self) -> None:
        super().lose()
        self.ledger.executor.limits = lambda _: Limits(max_in_flight=self.places)

    def ask(self, job_id: str = "a", **more: Any) -> Step:
        """The caller's message comes, for the first time or again; what may be submitted is."""
        params = {"motif": "a red fox"}
        fallback = {**SECOND._asdict(), "operation": "paint", "params": params, "after_charge": True}
        request = GenerateRequest.parse(
            {**ACCOUNT._asdict(), "operation": "paint", "params": params, "fallbacks": [fallback], **more}
        )
        return self._step(ACCOUNT, job_id, request=request, deadline_seconds=900.0, signature="s")

    def go_on(self, account: AccountName = SECOND, job_id: str = "a") -> Step:
        """A message of bide's own comes for the job at an account."""
        return self._step(account, job_id)

    def _step(self, account: AccountName, job_id: str, **more: Any) -> Step:
        tools: Any = self
        token = f"t-{len(self.calls)}-{self.clock.now}-{job_id}"
        step = self.ledger.jobs.step(job_id, account, token=token, **more)
        if step.verb is Verb.SUBMIT and step.record:
            with StepLog("job.step"):
                submit(tools, step.record, token, now=step.now)
        self.clock.advance(1)
        return step

    def poll_at(self, account: AccountName) -> None:
        """All jobs of an account that are due are polled."""
        tools: Any = self
        self.clock.advance(40)
        self.ledger.accounts.sweep(account)
        self.clock.advance(1)
        seq = int(self.server.hget(f"{prefix(account)}account", "seq") or 0)
        claim, context = self.ledger.polls.claim(account, seq, batch=100), self.accounts.get(account)
        about = partial(ask, tools, context.adapter, context.anywhere, claim.now)
        answers = [pair for some in self.event_loop.gather(claim.jobs, about, every_seconds=0.01) for pair in some]
        timing = self.poll_timings.get(account, "paint")
        polled = [judge(*pair, adapter=context.adapter, poll_timing=timing, now=claim.now) for pair in answers]
        self.ledger.polls.record(account, polled)

    def answer(self, *bodies: dict[str, Any], status: int = 200) -> None:
        """How the provider answers the next submits; the last one stays."""
        self.replies["POST", f"{BASE}/works"].clear()
        for body in bodies:
            self.reply("POST", f"{BASE}/works", body, status=status)

    def refuse(self) -> None:
        """The provider refuses the next submits for good: they go on at their fallback."""
        self.answer({"message": "no such brush"}, status=422)

    def buy_at_fallback(self, job_id: str = "a", pid: str = "9", **more: Any) -> None:
        """The first account refuses the job, the second one takes it."""
        self.refuse()
        self.ask(job_id, **more)
        self.answer({"id": pid})
        self.go_on(job_id=job_id)
        assert self.at(SECOND, job_id) == "running"

    def back_up(self) -> dict[str, tuple[int, Any]]:
        """All that the ledger has: for how long [milliseconds], and what."""
        return {str(key): (max(self.server.pttl(key), 0), self.server.dump(key)) for key in self.server.scan_iter()}

    def go_back(self, backup: dict[str, tuple[int, Any]]) -> None:
        """The ledger is lost, and has what a backup had."""
        self.lose()
        for key, (kept, value) in backup.items():
            self.server.restore(key, kept, value)

    def content(self) -> dict[str, Any]:
        """All that the ledger has, but for how long."""
        return {key: value for key, (_, value) in self.back_up().items()}

    def at(self, account: AccountName, job_id: str = "a") -> str:
        """The state of a job at an account; '' where that has none."""
        return str(self.server.hget(f"{prefix(account)}job:{job_id}", "state") or "")

    def in_line(self, account: AccountName = ACCOUNT) -> list[str]:
        """The jobs that an account would buy next."""
        at = prefix(account)
        return [*map(str, self.server.zrange(f"{at}queued", 0, -1))]

    def booked(self, account: AccountName) -> dict[str, int]:
        """What stands in the book of an account, by what it is."""
        sums: dict[str, int] = {}
        for key in self.server.keys(f"{prefix(account)}book:*"):
            for field, value in self.server.hgetall(key).items():
                name = str(field).rpartition(":")[2]
                sums[name] = sums.get(name, 0) + int(value)
        return {name: value for name, value in sums.items() if value and name != "refunded"}

    def check(self) -> None:
        """The ledger is whole, and a second recovery finds everything known."""
        before = self.content()
        again = self.recover()
        assert {what for _, what, _ in again.values()} <= {"known", "run", "not_bought"}, again
        assert self.content() == before
        whole = snapshot(self.server)
        for name in BOTH:
            check_account(whole, name, max_in_flight=100, late=())
        check_keys(whole, BOTH)


@contextmanager
def two_accounts() -> Iterator[TwoAccounts]:
    """A deployment in memory."""
    with opened_as(TwoAccounts) as world:
        yield world


def kill_a_submit(world: TwoAccounts) -> None:
    """Its worker dies while the request is under way."""
    world.replies["POST", f"{BASE}/works"].clear()
    world.fail("POST", f"{BASE}/works", Killed())
    with pytest.raises(Killed):
        world.ask()


def lose_an_answer(world: TwoAccounts) -> None:
    """Nothing says what became of its submit."""
    world.replies["POST", f"{BASE}/works"].clear()
    world.fail("POST", f"{BASE}/works", SubmissionUnknownError("no answer"))
    world.ask()


def wait_in_line(world: TwoAccounts) -> None:
    """No place is free at its first account."""
    world.places = 0
    world.ask()


def be_accepted(world: TwoAccounts) -> None:
    """The first account takes it."""
    world.answer({"id": "7"})
    world.ask()


def be_put_off(world: TwoAccounts) -> None:
    """The first account is busy."""
    world.answer({}, status=503)
    world.ask()


def settle(world: TwoAccounts) -> None:
    """Whatever became of the submit, an operator or the provider says that it was none; the job goes on."""
    record = world.ledger.jobs.read(ACCOUNT, "a")
    assert record
    state = record.text("state")
    if state in ("submitting", "unconfirmed"):
        world.sweep()
        world.ledger.unconfirmed.resubmit(ACCOUNT, "a")
    world.places = 100
    if state == "running":
        for url in (f"{BASE}/works/7",):
            world.reply("GET", url, {"state": "failed", "why": "no", "charged": "no"})
        world.poll()
    elif state in ("submitting", "unconfirmed"):
        world.server.hdel(f"{prefix(ACCOUNT)}job:a", "resubmitted", "doubt")  # the provider says that it had none
        world.refuse()
        world.go_on(ACCOUNT)
    else:
        world.clock.advance(60)
        world.refuse()
        world.go_on(ACCOUNT)


def late(world: TwoAccounts, account: Any, pid: str) -> None:
    """The provider accepts the first submit at an account, long after it had refused it."""
    world.clock.advance(5)
    intent = next(each for each in world.bucket.receipts if each.kind == "intent" and each.account == str(account))
    writer: Any = world.receipts
    writer._add(
        Accepted(
            ledger=intent.ledger,
            job_id="a",
            account=str(account),
            attempt=intent.attempt,
            at=world.clock.now + 60,
            provider_job_id=pid,
        )
    )
