"""A ledger in which jobs go on at other accounts, for tests of fallbacks."""

from __future__ import annotations

from typing import Any

from bide.contract import Charged, Failure, FailureCode, JobState
from bide.ledger import AccountName, Messages, Polled, Record, Step, Verb
from bide.ledger.keys import prefix
from bide.ledger.records import Concluded
from bide.ledger.settling import Promise
from bide.money.quote import Quote
from tests.contract.ledger_invariants import check_account, check_keys, snapshot
from tests.contract.ledger_stage import Clock, Stage, request_of, taken
from tests.contract.observed_redis import ObservedRedis
from workers.metrics.counted import FALLBACKS

FIRST, SECOND, THIRD = (AccountName("photogpt", name) for name in ("default", "second", "third"))


ACCOUNTS = (FIRST, SECOND, THIRD)


DEADLINE_SECONDS = 1800.0


def fallback(account: AccountName, **more: Any) -> dict[str, Any]:
    """A fallback of a request, with a model of its own."""
    return {**account._asdict(), "operation": "images.edits", "params": {"modelID": account.account}, **more}


class World(Stage):
    """A ledger in which jobs go on at other accounts; each check looks at all of them."""

    def __init__(self) -> None:
        super().__init__(ObservedRedis(), Clock())
        self.hints: list[Any] = []

    def ask(self, job_id: str = "a", *, to: tuple[dict[str, Any], ...] | None = None, **changes: Any) -> Step:
        """A message arrives with a request that has fallbacks: the second account, and the third one."""
        fallbacks = (fallback(SECOND), fallback(THIRD)) if to is None else to
        parsed = type(request_of()).parse(
            {**request_of(**changes).model_dump(mode="json", exclude_defaults=True), "fallbacks": list(fallbacks)}
        )
        return self.ledger.jobs.step(
            job_id, FIRST, token=self.token(), request=parsed, deadline_seconds=DEADLINE_SECONDS, signature="{}"
        )

    def submit(self, step: Step, *, free: bool = False, promise: Promise | None = None) -> tuple[Record, str, int]:
        """The intent of a job that may be submitted now."""
        record = taken(step, Verb.SUBMIT)
        token = record.text("token")
        promise = promise or Promise(free=free)
        return record, token, self.ledger.submits.intend(record, token, promise=promise, quote=Quote(40_000, "USD"))

    def accept(self, submit: tuple[Record, str, int]) -> None:
        """The provider accepts it."""
        record, token, attempt = submit
        pid = f"p-{record.account.account}-{record.job_id}"
        self.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id=pid, first_poll_seconds=2)

    def fail(self, submit: tuple[Record, str, int], code: str = "rejected", **why: Any) -> Concluded:
        """The provider refuses it for good."""
        record, token, attempt = submit
        return self.ledger.jobs.conclude(
            record, token, JobState.FAILED, error=error_of(record, code, **why), attempt=attempt
        )

    def submit_or_none(self, step: Step) -> tuple[Record, str, int] | None:
        """The intent; None where the job waits, or is over, or has gone on meanwhile."""
        if step.verb is not Verb.SUBMIT:
            return None
        submit = self.submit(step)
        return submit if submit[-1] > 0 else None

    def play(self, submit: tuple[Record, str, int], answer: str) -> None:
        """The provider's answer to a submit, and what a poll finds then."""
        record, token, _ = submit
        if answer == "in doubt":
            error = error_of(record, "submission_unknown")
            self.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=error)
        elif answer == "refused":
            self.fail(submit)
        else:
            self.accept(submit)
        if answer in ("no charge", "charged", "unknown"):
            said = {"no charge": Charged.NO, "charged": Charged.YES, "unknown": None}[answer]
            self.fail_there(record.account, charged=said)

    def fail_there(
        self, account: AccountName, job_id: str = "a", code: str = "generation_failed", **why: Any
    ) -> Messages:
        """A poll finds that the provider made nothing."""
        record = self.at(account, job_id)
        polled = Polled(job_id, "failed", value=error_of(record, code, **why), note=code)
        return self.ledger.polls.record(account, [polled])

    def resume_at(self, account: AccountName, job_id: str = "a") -> Step:
        """A message of bide's own arrives that names an account."""
        return self.ledger.jobs.step(job_id, account, token=self.token())

    def at(self, account: AccountName, job_id: str = "a") -> Record:
        found = self.ledger.jobs.read(account, job_id)
        assert found is not None, f"{job_id} is not at {account}"
        return found

    def where(self, job_id: str = "a") -> AccountName:
        """The one account that has the job."""
        [found] = [each for each in ACCOUNTS if self.ledger.jobs.read(each, job_id)]
        return found

    def record(self, job_id: str = "a") -> Record:
        return self.at(self.where(job_id), job_id)

    def moved(self, account: AccountName) -> dict[str, int]:
        """How many jobs have left an account for their fallback, by why, as metrics have it."""
        found: Any = self.server.hgetall(f"{prefix(account)}metrics")
        return {code: number for code, number in FALLBACKS.counts(dict(found)).items() if number}

    def sweep(self, seconds: float = 0.0) -> None:
        """Time passes, then all accounts are swept."""
        self.clock.advance(seconds)
        for account in self.ledger.accounts.names():
            self.ledger.accounts.sweep(account)

    def check(self) -> None:
        """All keys are as they should be, and none is left for ever."""
        whole = snapshot(self.server)
        for account in ACCOUNTS:
            check_account(whole, account, max_in_flight=100, late=())
        check_keys(whole, ACCOUNTS)


def error_of(record: Record, code: str, **why: Any) -> str:
    """A failure as a step writes it."""
    return Failure(
        code=FailureCode(code), message="no", job_id=record.job_id, provider=record.account.provider, **why
    ).model_dump_json()
