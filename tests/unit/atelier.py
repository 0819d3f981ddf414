"""An imaginary provider that offers more than most do, and a worker and a poller in memory that deal with it.

Its submit answers with addresses: where its job stands, and where it is canceled. There is no network:
`Atelier.replies` says what each call is answered with.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from bide.bulk.runs import Runs
from bide.contract import GenerateRequest
from bide.errors import UnreadableAnswerError
from bide.ledger import AccountName, Ledger, Messages, Record, Step, Verb
from bide.ledger.keys import prefix
from bide.providers import installed, reading
from bide.providers.base import (
    Account,
    Answer,
    Call,
    Canceled,
    Cancels,
    Charged,
    Failed,
    FailureCause,
    FetchNow,
    Finished,
    Operation,
    Params,
    PollOutcome,
    Progress,
    Provider,
    Running,
    Submission,
    SubmitOutcome,
    Submitted,
    Succeeded,
    Ticket,
    Unknown,
)
from bide.providers.costs import as_cost
from config.settings import load
from tasks.steps.ask import ask
from tasks.steps.decision import judge
from tasks.steps.outcome import Outcome
from tasks.steps.submit import submit
from tests.contract.ledger_stage import Clock
from tests.contract.observed_redis import ObservedRedis
from workers.accounts import Accounts
from workers.services.budgets import Budgets
from workers.services.cancel import Canceler
from workers.services.event_loop import EventLoop
from workers.services.learner import Learner
from workers.services.poll_timings import PollTimings
from workers.services.receipt_writer import NoReceipts
from workers.telemetry.step_log import StepLog

ACCOUNT = AccountName("atelier", "default")
BASE, KEY = "https://api.atelier.example/v1", "planted-key-0123456789"
STATUS, RESULT, CANCEL = (f"https://jobs.atelier.example/7/{what}" for what in ("status", "result", "cancel"))
ACCEPTED = {"id": "7", "status_url": STATUS, "cancel_url": CANCEL}


class PaintParams(Params):
    """What is painted."""

    motif: str
    brush: str | None = None


class PlainAtelierAdapter(Provider):
    """Submits, and then calls the addresses of the answer alone."""

    name = "atelier"
    default_base_url = BASE
    hosts = ("jobs.atelier.example", "*.studio.example", "10.0.0.7:8443")
    version = "3"
    operations: ClassVar = {"paint": Operation(params=PaintParams)}
    source = "https://docs.atelier.example"

    def lane(self, operation: str, params: Mapping[str, Any]) -> str:
        return reading.as_text(params.get("brush"))

    def submit_call(self, submission: Submission, account: Account) -> Call:
        return Call("POST", account.url("/works"), headers=account.bearer, json=dict(submission.params))

    def read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        body = answer.object()
        if not (job_id := reading.as_id(body.get("id"))):
            raise UnreadableAnswerError("the answer has no id")
        cost = as_cost(body.get("price"), "USD")
        handle = {name: body[name] for name in ("status_url", "cancel_url") if name in body}
        if body.get("pictures"):
            pictures = reading.all_media(body["pictures"], role="image")
            return Finished(job_id, pictures, handle=handle, cost=cost)
        return Submitted(job_id, handle=handle or body.get("handle"), cost=cost)

    def poll_call(self, ticket: Ticket, account: Account) -> Call:
        by_id = account.url(f"/works/{reading.in_path(ticket.provider_job_id)}")
        status = (ticket.handle or {}).get("status_url", by_id)
        result = ticket.cursor if ticket.cursor.startswith("https:") else ""
        return Call("GET", result or status, headers=account.bearer)

    def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        if answer.status == 404:
            return Unknown()
        body = answer.object()
        cost = as_cost(body.get("price"), "USD")
        match body.get("state"):
            case "done":
                return Succeeded(reading.all_media(body.get("pictures"), role="image"), cost=cost)
            case "ready":
                return FetchNow(body["result_url"])
            case "failed":
                cause, charged = body.get("cause"), body.get("charged")
                why = (cause and FailureCause(cause), charged and Charged(charged))
                return Failed(reading.as_text(body.get("why")), *why, cost=cost)
            case word:
                reported = {
                    name: body[name] for name in ("fraction", "position", "left_seconds", "message") if name in body
                }
                progress = Progress(**reported) if reported else None
                return Running(reading.as_text(word), body.get("cursor", ""), progress, body.get("again"), cost)


class AtelierAdapter(Cancels, PlainAtelierAdapter):
    """Also stops jobs."""

    def cancel_call(self, ticket: Ticket, account: Account) -> Call | None:
        by_id = account.url(f"/works/{reading.in_path(ticket.provider_job_id)}/cancel")
        address = by_id if ticket.handle is None else ticket.handle.get("cancel_url")
        return Call("PUT", address, headers=account.bearer) if address else None

    def read_cancel(self, answer: Answer, ticket: Ticket, account: Account) -> Canceled:
        return Canceled(reading.as_text(answer.object().get("canceled")) or Canceled.UNKNOWN)


class Killed(BaseException):
    """The process is gone."""


class Atelier:
    """A ledger in memory, and as much of a toolbox as a submit and a polling round take."""

    def __init__(self, **settings: str) -> None:
        self.clock = Clock()
        self.server = ObservedRedis()
        self.ledger = Ledger(self.server, clock=self.clock)
        self.calls: list[tuple[str, str]] = []
        self.replies: dict[tuple[str, str], list[Answer | BaseException]] = defaultdict(list)
        self.last: dict[tuple[str, str], Answer | BaseException] = {}
        self.sent: list[Messages] = []
        #: What happens while a call is under way.
        self.meanwhile: Callable[[], object] | None = None
        self.leases = self.dispatcher = self.http = self
        self.event_loop = EventLoop()
        self.receipts = NoReceipts()
        self.runs = Runs(self.server)
        self.store_check = SimpleNamespace(wait=lambda: "")
        self.configure(**settings)
        self.canceler = Canceler(self.ledger, self.dispatcher)  # type: ignore[arg-type]  # a double, as all of this

    def configure(self, **settings: str) -> None:
        """Start anew with these settings of the provider, as after a restart."""
        given = {f"BIDE_PROVIDERS__ATELIER__{name}": value for name, value in {"API_KEY": KEY, **settings}.items()}
        self.settings = load({"BIDE_S3__BUCKET": "results", **given}, env_file=None)
        self.accounts = Accounts(self.settings)
        self.poll_timings = PollTimings(self.accounts, Learner(self.ledger))
        self.budgets = Budgets(self.settings)

    def reply(self, method: str, url: str, body: Any, *, status: int = 200, **headers: str) -> None:
        """Have the next such call answered so; the last of several answers stays."""
        self.replies[method, url].append(Answer(status, headers, json.dumps(body).encode()))

    def fail(self, method: str, url: str, error: BaseException) -> None:
        """Have the next such call end so; `Killed` is the end of its process."""
        self.replies[method, url].append(error)

    # What a toolbox has

    async def call(self, call: Call, *, buys: bool) -> Answer:
        self.calls.append((call.method, call.url))
        answers = self.replies[call.method, call.url]
        if answers:
            self.last[call.method, call.url] = answers.pop(0)
        if self.meanwhile is not None:
            self.meanwhile()
        if isinstance(answer := self.last[call.method, call.url], BaseException):
            raise answer
        return answer

    def send(self, messages: Messages) -> None:
        self.sent.append(messages)

    @contextmanager
    def renewing(self, *_: Any) -> Iterator[Any]:
        yield SimpleNamespace(check=lambda: None)

    # What is done with a job

    def submit(self, job_id: str = "a", *, deadline_seconds: float = 900.0, **request: Any) -> Outcome:
        """A caller's message arrives, and its job is bought."""
        params = {"motif": "a red fox", **request.pop("params", {})}
        asked = GenerateRequest(provider="atelier", operation="paint", params=params, **request)
        step = self.ledger.jobs.step(
            job_id, ACCOUNT, token=f"t-{job_id}", request=asked, deadline_seconds=deadline_seconds, signature="s"
        )
        return self._bought(step, f"t-{job_id}")

    def again(self, job_id: str = "a") -> Outcome:
        """A later message has the job submitted once more."""
        return self._bought(self.ledger.jobs.step(job_id, ACCOUNT, token=f"t2-{job_id}"), f"t2-{job_id}")

    def _bought(self, step: Step, token: str) -> Outcome:
        assert step.verb is Verb.SUBMIT
        assert step.record is not None
        tools: Any = self
        with StepLog("job.step"):
            return submit(tools, step.record, token, now=step.now)

    def poll(self, *, after_seconds: float = 40.0, dies: bool = False) -> None:
        """Time passes, and all jobs that are due are polled. A poller that `dies` records no answer."""
        self.clock.advance(after_seconds)
        self.ledger.accounts.sweep(ACCOUNT)
        self.clock.advance(1)
        seq = int(self.server.hget(f"{prefix(ACCOUNT)}account", "seq") or 0)
        claim = self.ledger.polls.claim(ACCOUNT, seq, batch=100)
        tools: Any = self
        context = self.accounts.get(ACCOUNT)
        about = partial(ask, tools, context.adapter, context.anywhere, claim.now)
        answers = [pair for some in self.event_loop.gather(claim.jobs, about, every_seconds=0.01) for pair in some]
        if dies:
            return
        timing = self.poll_timings.get(ACCOUNT, "paint")
        polled = [judge(*pair, adapter=context.adapter, poll_timing=timing, now=claim.now) for pair in answers]
        self.send(self.ledger.polls.record(ACCOUNT, polled))

    def sweep(self, *, seconds: float = 60.0) -> None:
        """Time passes under a sweeper: leases of dead workers run out."""
        for _ in range(int(seconds / 5)):
            self.clock.advance(5)
            self.send(self.ledger.accounts.sweep(ACCOUNT)[0])

    def purchases(self) -> int:
        """How many submits went out."""
        return sum(method == "POST" for method, _ in self.calls)

    def record(self, job_id: str = "a") -> Record:
        found = self.ledger.jobs.read(ACCOUNT, job_id)
        assert found is not None
        return found


@contextmanager
def opened(**settings: str) -> Iterator[Atelier]:
    """A deployment in memory with that provider installed, and these settings of it."""
    installed()["atelier"] = AtelierAdapter()
    world = Atelier(**settings)
    try:
        yield world
    finally:
        world.event_loop.stop()
        del installed()["atelier"]


@pytest.fixture
def atelier() -> Iterator[Atelier]:
    """A deployment in memory with that provider installed."""
    with opened() as world:
        yield world
