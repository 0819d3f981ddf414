"""An imaginary provider with each kind of promise about submits, and a worker in memory that deals with it.

`Guild` is the worker's world; `Workshop` the provider: what it bought stands in `bought`, what it makes of the next
submits in `plans`, and which of its promises it breaks in `lies`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest

from bide.contract import GenerateRequest
from bide.crashpoints import Point, watchers
from bide.errors import NotSentError, PollFailedError, SubmissionUnknownError
from bide.ledger import AccountName, Messages, Record, Verb
from bide.ledger.keys import prefix
from bide.providers import installed
from bide.providers.base import Answer, Call, Upload
from config.settings import load
from tasks.steps.outcome import Outcome
from tasks.steps.submit import submit
from tests.guild_adapter import GuildAdapter
from tests.unit.atelier import KEY, Atelier
from workers.accounts import Accounts
from workers.services.budgets import Budgets
from workers.services.learner import Learner
from workers.services.poll_timings import PollTimings
from workers.telemetry.step_log import StepLog

ACCOUNT = AccountName("guild", "default")

#: How long a job may not show in a look-up yet [seconds].
SHOWS_SECONDS = GuildAdapter.shows_after_seconds

#: How long a request may be under way, and more than the time after which its job surely shows [seconds].
SENDING_SECONDS, SURE_SECONDS = 75.0, 150.0


class Workshop:
    """The provider: a plan for each submit that comes, usually to take it."""

    def __init__(self) -> None:
        self.ids = itertools.count(1)
        #: The ids of jobs by their key, and all keys that came.
        self.bought: dict[str, list[str]] = {}
        self.keys: list[str] = []
        #: `lost`: bought, and no answer. `dropped`: neither. A number: not bought, answered by this HTTP code.
        #: `lost 500`: bought, and answered by this code.
        self.plans: list[str | int] = []
        #: What it does against its promises.
        self.lies: set[str] = set()
        self.marks = True
        self.look_ups = 0
        self.look_up_fails = False

    @property
    def purchases(self) -> int:
        return sum(map(len, self.bought.values()))

    def answer(self, call: Call, operation: str) -> Answer:
        if call.method == "GET":
            return self._look_up(call)
        key = call.headers["Key"]
        self.keys.append(key)
        plan = self.plans.pop(0) if self.plans else "taken"
        if plan == "not sent":
            raise NotSentError("connection refused")
        if plan == "dropped":
            raise SubmissionUnknownError("the connection broke")
        if isinstance(plan, int):
            return Answer(plan, {"retry-after": "7"} if plan in (409, 429) else {}, b'{"message": "no"}')
        before = list(self.bought.get(key, ()))
        if operation == "reject" and before and "accepts twice" not in self.lies:
            return Answer(409, {}, b"{}")
        if not before or operation != "replay" or "buys anew" in self.lies:
            self.bought.setdefault(key, []).append(f"w{next(self.ids)}")
        if plan.startswith("lost"):
            if code := plan.removeprefix("lost").strip():
                return Answer(int(code), {}, b"{}")
            raise SubmissionUnknownError("no answer")
        replayed = {"idempotent-replayed": "true" if before else "false"} if self.marks else {}
        marks = {"idempotent-replayed": "true"} if "marks all" in self.lies else replayed
        given = self.bought[key][-1 if "buys anew" in self.lies else 0]
        return Answer(200, marks, json.dumps({"id": given}).encode())

    def _look_up(self, call: Call) -> Answer:
        self.look_ups += 1
        if self.look_up_fails:
            raise PollFailedError("HTTP 500")
        _, where, key = call.url.rsplit("/", 2)
        hidden = "hides" in self.lies or ("hides until bought again" in self.lies and self.purchases < 2)
        shown = where == "history" and not hidden
        return Answer(200, {}, json.dumps({"ids": self.bought.get(key, []) if shown else []}).encode())


class Guild(Atelier):
    """The worker's world."""

    def __init__(self, **settings: str) -> None:
        super().__init__(**settings)
        self.workshop = Workshop()
        self.tokens = itertools.count(1)
        self.operation = ""
        self.outcomes: list[Outcome] = []
        self.signed: list[datetime | None] = []

    def configure(self, **settings: str) -> None:
        """Start anew with these settings of the provider, as after a restart."""
        given = {f"BIDE_PROVIDERS__GUILD__{name}": value for name, value in {"API_KEY": KEY, **settings}.items()}
        self.settings = load({"BIDE_S3__BUCKET": "results", **given}, env_file=None)
        self.accounts = Accounts(self.settings)
        self.poll_timings = PollTimings(self.accounts, Learner(self.ledger))
        self.budgets = Budgets(self.settings)

    @property
    def fetcher(self) -> Any:
        return self

    def inputs(self, request: GenerateRequest, *_: Any, signed_at: datetime | None, **__: Any) -> dict[str, Upload]:
        """As the fetcher does where an input is an object of ours: the address has the moment of its signature."""
        self.signed.append(signed_at)
        return {name: Upload(name, url=f"{value}?{signed_at}") for name, value in request.inputs.items()}

    async def call(self, call: Call, *, buys: bool) -> Answer:
        self.calls.append((call.method, call.url))
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return self.workshop.answer(call, self.operation)

    def order(self, operation: str, *plans: str | int, job_id: str = "a", **request: Any) -> None:
        """A caller's message arrives, and its job is submitted."""
        self.operation = operation
        self.workshop.plans = list(plans)
        asked = GenerateRequest(provider="guild", operation=operation, params={"motif": "a fox"}, **request)
        self._step(job_id, asked)

    def die(self, operation: str, point: Point) -> None:
        """A worker takes a new job, and dies at this point."""
        with dying_at(point):
            self.order(operation)

    def pass_time(self, seconds: float) -> None:
        """Time passes, with a sweeper at work and workers that follow its hints."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            first: Any = self.server.zrange(f"{prefix(ACCOUNT)}lease", 0, 0, withscores=True)
            due = min([*(score for _, score in first), self.clock.now + 15])
            self.clock.now = min(until, max(self.clock.now + 1, due + 0.01))
            messages, _, _ = self.ledger.accounts.sweep(ACCOUNT)
            self._follow(messages)
            self._follow(self.ledger.accounts.admit(ACCOUNT))

    def _follow(self, messages: Messages) -> None:
        for hint in messages.hints:
            self._step(hint.job_id, None)

    def _step(self, job_id: str, request: GenerateRequest | None) -> None:
        token = f"t{next(self.tokens)}"
        step = self.ledger.jobs.step(
            job_id, ACCOUNT, token=token, request=request, deadline_seconds=900, signature="s" if request else ""
        )
        if step.verb is Verb.SUBMIT and step.record:
            tools: Any = self
            with StepLog("job.step"):
                self.outcomes.append(submit(tools, step.record, token, now=step.now))
        elif step.verb is Verb.ANSWER:
            self.ledger.jobs.answered(ACCOUNT, job_id)

    # Looking

    def record(self, job_id: str = "a") -> Record:
        found = self.ledger.jobs.read(ACCOUNT, job_id)
        assert found is not None
        return found

    def state(self, job_id: str = "a") -> str:
        return self.record(job_id).text("state")

    def evidence(self, job_id: str = "a") -> str:
        return self.record(job_id).text("evidence")

    @property
    def pid(self) -> str:
        return self.record().text("pid")


class _DeadError(BaseException):
    """The worker died."""


@contextmanager
def dying_at(point: Point) -> Iterator[None]:
    """A worker that comes to this point dies there; and one has to come."""

    def die(reached: Point) -> None:
        if reached == point:
            raise _DeadError

    watchers.append(die)
    try:
        with pytest.raises(_DeadError):
            yield
    finally:
        watchers.remove(die)


@pytest.fixture
def guild() -> Iterator[Guild]:
    """A deployment in memory with that provider installed."""
    installed()["guild"] = GuildAdapter()
    world = Guild()
    try:
        yield world
    finally:
        world.event_loop.stop()
        del installed()["guild"]
