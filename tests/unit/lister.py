"""The imaginary guild without a promise, and with a list of its recent works: the world of settlements by listing.

`Lister` is the worker's world. `shown` is the guild's list; what it buys comes onto it `late_seconds` later.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from bide.contract import GenerateRequest
from bide.errors import PollFailedError
from bide.ledger import AccountName, Record, Verb
from bide.ledger.keys import prefix
from bide.providers import installed
from bide.providers.base import Answer, Call
from tasks.steps.submit import submit
from tests.guild_adapter import GuildAdapter
from tests.unit.guild import ACCOUNT, Guild
from workers.telemetry.step_log import StepLog

#: How long the guild's list may lack a work, and for how long it is looked at then [seconds].
LATE_SECONDS, LOOKED_FOR_SECONDS = GuildAdapter.lists_after_seconds, 700.0

OTHER = AccountName("guild", "other")


class Lister(Guild):
    """A worker's world whose accounts share the guild's list."""

    def __init__(self, **settings: str) -> None:
        super().__init__(**{"SETTLE": "listing", "ACCOUNTS__OTHER__API_KEY": "another-key-0123456789", **settings})
        #: Works on the list: id, motif, moment; and when each is shown first [seconds since the epoch].
        self.shown: list[tuple[float, dict[str, Any]]] = []
        self.late_seconds = 0.0
        #: What the list leaves out of each work.
        self.hides: set[str] = set()
        self.page_size = 100
        self.list_answer: Answer | None = None
        self.looks = 0

    def list(self, work_id: str, *, motif: str = "a fox", seconds: float = 0.0, **work: Any) -> None:
        """A work that the list shows from now on, made so many seconds from now."""
        at = datetime.fromtimestamp(self.clock.now + seconds, UTC).isoformat()
        self.shown.append((self.clock.now, {"id": work_id, "motif": motif, "at": at, "operation": "none", **work}))

    def buy(self, job_id: str, *plans: str | int, motif: str = "a fox", account: AccountName = ACCOUNT) -> None:
        """A caller's message arrives, and its job is submitted: `lost`: bought, and no answer; `dropped`: neither."""
        self.operation, self.workshop.plans, self.workshop.lies = "none", list(plans), {"buys anew"}
        asked = GenerateRequest(provider="guild", account=account.account, operation="none", params={"motif": motif})
        self._take(job_id, account, asked)

    def _take(self, job_id: str, account: AccountName, request: GenerateRequest | None) -> None:
        token = f"t{next(self.tokens)}"
        step = self.ledger.jobs.step(
            job_id, account, token=token, request=request, deadline_seconds=900, signature="s" if request else ""
        )
        if step.verb is Verb.SUBMIT and step.record:
            tools: Any = self
            with StepLog("job.step"):
                self.outcomes.append(submit(tools, step.record, token, now=step.now))
        elif step.verb is Verb.ANSWER:
            self.ledger.jobs.answered(account, job_id)

    async def call(self, call: Call, *, buys: bool) -> Answer:
        if call.method == "GET" and call.url.endswith("/works"):
            return self._list(int(call.query["page"] or 0))
        before = self.workshop.purchases
        try:
            return await super().call(call, buys=buys)
        finally:
            if self.workshop.purchases > before:
                self.list(f"w{self.workshop.purchases}", motif=call.json["motif"])
                self.shown[-1] = (self.clock.now + self.late_seconds, self.shown[-1][1])

    def _list(self, page: int) -> Answer:
        self.looks += 1
        if self.list_answer is not None:
            return self.list_answer
        works = [work for since, work in reversed(self.shown) if since <= self.clock.now]
        works.sort(key=lambda work: str(work["at"]), reverse=True)
        first = page * self.page_size
        page_of_works = [
            {k: v for k, v in work.items() if k not in self.hides} for work in works[first : first + self.page_size]
        ]
        following = str(page + 1) if first + self.page_size < len(works) else ""
        return Answer(200, {}, json.dumps({"works": page_of_works, "next": following}).encode())

    def look(self, seconds: float = LATE_SECONDS + 60) -> None:
        """Time passes until the list was looked at."""
        self.pass_time(seconds)

    def hold(self) -> None:
        """So much time passes that nothing is looked for any more."""
        self.pass_time(1000)

    def pass_time(self, seconds: float) -> None:
        """As there, from one due lease to the next."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            first: Any = self.server.zrange(f"{prefix(ACCOUNT)}lease", 0, 0, withscores=True)
            due = min((score for _, score in first), default=until)
            self.clock.now = min(until, max(self.clock.now + 1, due + 0.01))
            self._follow(self.ledger.accounts.sweep(ACCOUNT)[0])

    def of(self, job_id: str, account: AccountName = ACCOUNT) -> Record:
        """A job's record, in any account."""
        found = self.ledger.jobs.read(account, job_id)
        assert found is not None
        return found

    def stands(self, job_id: str = "a", account: AccountName = ACCOUNT) -> tuple[str, str]:
        """State and provider's id of a job."""
        return self.of(job_id, account).text("state"), self.of(job_id, account).text("pid")


@pytest.fixture
def lister() -> Iterator[Lister]:
    """A deployment in memory whose accounts settle by the guild's list."""
    installed()["guild"] = GuildAdapter()
    world = Lister()
    try:
        yield world
    finally:
        world.event_loop.stop()
        del installed()["guild"]


def html() -> Answer:
    """A page where the list should be."""
    return Answer(200, {"content-type": "text/html"}, b"<html>Just a moment...</html>")


def broken() -> Answer:
    """The list can't be had now."""
    raise PollFailedError("HTTP 500")
