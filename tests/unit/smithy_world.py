"""A worker in memory with two providers, for tests of jobs that go on at the other one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from bide.ledger import AccountName, Messages, Record, Verb
from bide.providers import installed
from config.settings import load
from tasks.steps.answer import answer
from tasks.steps.enter import Entered, Message, enter
from tasks.steps.outcome import Outcome, Suspend
from tasks.steps.store import store
from tasks.steps.submit import submit
from tests.unit.atelier import BASE, KEY, AtelierAdapter
from tests.unit.foundry import Foundry, FoundryWorld
from workers.accounts import Accounts
from workers.services.budgets import Budgets
from workers.services.learner import Learner
from workers.services.poll_timings import PollTimings
from workers.telemetry.step_log import StepLog

FIRST, SECOND = AccountName("atelier", "default"), AccountName("smithy", "night")


BASE_THERE = "https://api.smithy.example/v1"


FALLBACK = {"provider": "smithy", "operation": "paint", "params": {"motif": "a blue fox"}, "account": "night"}


class Smithy(Foundry):
    """Another provider, with another address."""

    name = "smithy"
    default_base_url = BASE_THERE


class World(FoundryWorld):
    """A worker in memory, to which messages come as Celery brings them."""

    operations: ClassVar = AtelierAdapter.operations

    def configure(self, **settings: str) -> None:
        given = {"ATELIER__API_KEY": KEY, "SMITHY__ACCOUNTS__NIGHT__API_KEY": "another-key-0123456789", **settings}
        environment = {f"BIDE_PROVIDERS__{name}": value for name, value in given.items()}
        self.settings = load({"BIDE_S3__BUCKET": "results", **environment}, env_file=None)
        self.accounts = Accounts(self.settings)
        self.poll_timings = PollTimings(self.accounts, Learner(self.ledger))
        self.budgets = Budgets(self.settings)

    def message(self, job_id: str = "a", request: dict[str, Any] | None = None, **headers: str) -> Outcome:
        """A message comes: what its step comes to."""
        tools: Any = self
        args = (request,) if request else ()
        with StepLog("job.step"):
            entered = enter(tools, Message(job_id, args, headers=headers))
            if not isinstance(entered, Entered):
                return entered
            step, record = entered.step, entered.step.record
            if step.verb is Verb.SUBMIT and record:
                return submit(tools, record, entered.token, now=step.now)
            if step.verb is Verb.STORE and record:
                return store(tools, record, entered.token, now=step.now)
            if step.verb is Verb.ANSWER and record:
                return answer(record)
            return Suspend(Messages())

    def follow(self, outcome: Outcome) -> Outcome:
        """The messages of an outcome bring a worker to the job again."""
        assert isinstance(outcome, Suspend), outcome
        [hint] = outcome.messages.hints
        return self.message(hint.job_id, bide_account=str(hint.account))

    def order(self, *fallbacks: dict[str, Any], **more: Any) -> dict[str, Any]:
        """A request with these fallbacks, by default the other provider."""
        return {
            "provider": "atelier",
            "operation": "paint",
            "params": {"motif": "a red fox"},
            "fallbacks": list(fallbacks or (FALLBACK,)),
            **more,
        }

    def found(self, job_id: str = "a") -> Record:
        record = self.ledger.jobs.find(job_id)
        assert record is not None
        return record


def refuse(world: World, status: int = 422) -> None:
    """The first provider refuses the next submit."""
    world.reply("POST", f"{BASE}/works", {"message": "no such brush"}, status=status)


@contextmanager
def two_providers() -> Iterator[World]:
    """A worker, and two providers that are installed meanwhile."""
    installed().update(atelier=Foundry(), smithy=Smithy())
    made = World()
    try:
        yield made
    finally:
        made.event_loop.stop()
        for name in ("atelier", "smithy"):
            del installed()[name]
