"""Whatever happens to a job, and whenever its ledger is lost: while one purchase of it may come home, none is added."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bide.errors import SubmissionUnknownError
from bide.ledger.keys import prefix
from tests.unit.atelier import BASE
from tests.unit.recovered_world import BOTH, TwoAccounts, two_accounts

pytestmark = pytest.mark.whole

ANSWERS = ("accepted", "accepted", "refused", "refused", "busy", "lost")

#: What may happen to a job, also while its ledger is lost, and then without a submit.
STEPS = ("ask", "go on", "go on there", "go on there", "poll", "fail", "sweep", "caller")
LIFE = st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(ANSWERS)), max_size=4)

#: How it begins, what follows until its ledger is lost (or goes back to the moment between), and what happens after that.
ORDER = st.tuples(st.sampled_from(ANSWERS), LIFE, LIFE, st.booleans(), LIFE, LIFE)


Steps = list[tuple[str, str]]


class Shop:
    """The provider's own book: each purchase, and whether it has failed."""

    def __init__(self, world: TwoAccounts) -> None:
        self.world, self.sold = world, dict[str, str]()
        self.posts = 0

    def prepare(self, answer: str) -> str:
        """How the next submit is answered; returns the id that it would get."""
        url, pid = ("POST", f"{BASE}/works"), f"p{self.posts}"
        self.world.replies[url].clear()
        self.world.last.pop(url, None)
        match answer:
            case "accepted":
                self.world.answer({"id": pid})
            case "refused":
                self.world.refuse()
            case "busy":
                self.world.answer({}, status=503)
            case "lost":
                self.world.fail(*url, SubmissionUnknownError("no answer"))
        return pid

    def sell(self, pid: str, answer: str, before: int) -> None:
        """A submit went out: it is a purchase, unless it was refused. None before it may come home."""
        if self.world.purchases() == before:
            return
        self.posts += 1
        if answer in ("accepted", "lost"):
            assert not [each for each, state in self.sold.items() if state != "failed"], (
                "bought while another may come home"
            )
            self.sold[pid] = "lost" if answer == "lost" else "sold"

    def tell(self, *, fails: bool) -> None:
        """What polls of the purchases are answered."""
        for pid, state in self.sold.items():
            failed = state == "failed" or (fails and state == "sold")
            words: dict[str, Any] = (
                {"state": "failed", "why": "no", "charged": "no"} if failed else {"state": "at work"}
            )
            self.world.replies["GET", f"{BASE}/works/{pid}"].clear()
            self.world.reply("GET", f"{BASE}/works/{pid}", words)

    def note_failures(self) -> None:
        """A purchase that no record waits for has failed, since that was polled."""
        records = [self.world.ledger.jobs.read(each, "a") for each in BOTH]
        waiting = {record.text("pid") for record in records if record and record.text("state") == "running"}
        for pid, state in self.sold.items():
            if state == "sold" and pid not in waiting:
                self.sold[pid] = "failed"


class Life:
    """A job, its provider, and what happens to them by and by."""

    def __init__(self, world: TwoAccounts) -> None:
        self.world, self.shop = world, Shop(world)

    def go_on(self, steps: list[tuple[str, str]], *, lost: bool = False) -> None:
        """Take these steps; on a lost ledger nothing is submitted, as workers keep it."""
        self.world.places = 0 if lost else 100
        for step, answer in steps:
            pid, before = self.shop.prepare(answer), self.world.purchases()
            self._take(step, lost=lost)
            self.shop.sell(pid, answer, before)

    def _take(self, step: str, *, lost: bool) -> None:
        world = self.world
        match step:
            case "ask":
                world.ask(idempotency_key="k")
            case "caller":
                world.ask("z", idempotency_key="k")
            case "go on" | "go on there":
                account = BOTH[step == "go on there"]
                if world.at(account):
                    world.go_on(account)
            case "poll" | "fail":
                self.shop.tell(fails=step == "fail")
                for account in BOTH:
                    world.poll_at(account)
                if step == "fail" and not lost:
                    self.shop.note_failures()
            case "sweep":
                world.sweep(seconds=20)


@given(steps=ORDER)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_in_any_order(steps: tuple[str, Steps, Steps, bool, Steps, Steps]) -> None:
    """A job lives, its ledger is lost or goes back, and it is taken up: nothing is bought twice, and nothing is lost."""
    first, before, since, goes_back, meanwhile, afterwards = steps
    with two_accounts() as world:
        life = Life(world)
        life.go_on([("ask", first), *before])
        backup = world.back_up()
        life.go_on(since)
        if goes_back:
            world.go_back(backup)
        else:
            world.lose()
        life.go_on(meanwhile, lost=True)
        world.recover()
        life.go_on(afterwards)
        world.places = 0
        world.recover()
        world.check()
        hashes = [
            key for each in BOTH for key in world.server.keys(f"{prefix(each)}*:*") if world.server.type(key) == "hash"
        ]
        known = " ".join(str(value) for key in hashes for value in world.server.hgetall(key).values())
        for pid, state in life.shop.sold.items():
            assert state != "sold" or pid in known, f"{pid} was bought, and nothing knows it"
