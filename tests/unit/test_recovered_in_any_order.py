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
STEPS = ("ask", "go on", "go on there", "poll", "fail", "sweep", "caller")
MORE = st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(ANSWERS)), max_size=2)

#: How it begins: at its first account, and at its fallback, with the answer to each submit.
BEGINNINGS = (
    *([("ask", answer)] for answer in ("accepted", "busy", "lost")),
    *([("ask", "refused"), ("go on there", answer)] for answer in ("accepted", "busy", "lost")),
    *([("ask", "accepted"), ("fail", ""), ("go on there", answer)] for answer in ("accepted", "busy", "lost")),
    [("ask", "busy"), ("sweep", ""), ("go on", "refused"), ("go on there", "accepted")],
)

#: What happens while the ledger is lost, and nothing is submitted.
MEANWHILE = (
    "",
    "ask",
    "caller",
    "ask caller",
    "caller ask",
    "ask sweep sweep",
    "sweep poll",
    "poll ask",
    "fail",
    "fail ask",
)

#: Each account that may buy tries to.
TRIES = [("ask", "accepted"), ("caller", "accepted"), ("go on", "accepted"), ("go on there", "accepted")]

#: Its life, the moment of the backup that its ledger goes back to (none where it is lost), and what follows.
ORDER = st.tuples(
    st.tuples(st.sampled_from(BEGINNINGS), MORE), st.none() | st.integers(0, 5), st.sampled_from(MEANWHILE), MORE
)


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

    def polled(self) -> set[str]:
        """The purchases that records are polled as."""
        records = [self.world.ledger.jobs.read(account, job_id) for account in BOTH for job_id in "az"]
        return {record.text("pid") for record in records if record and record.text("state") == "running"}


class Life:
    """A job, its provider, and what happens to them by and by."""

    def __init__(self, world: TwoAccounts) -> None:
        self.world, self.shop = world, Shop(world)

    def go_on(self, steps: list[tuple[str, str]], *, lost: bool = False) -> None:
        """Take these steps; on a lost ledger nothing is submitted, as workers keep it."""
        self.world.places = 0 if lost else 100
        for step, answer in steps:
            pid, before = self.shop.prepare(answer), self.world.purchases()
            self._take(step)
            self.shop.sell(pid, answer, before)

    def _take(self, step: str) -> None:
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
                before = self.shop.polled()
                for account in BOTH:
                    world.poll_at(account)
                for pid in before - self.shop.polled():
                    self.shop.sold[pid] = "failed"
            case "sweep":
                world.sweep(seconds=20)


@given(steps=ORDER)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_in_any_order(steps: tuple[tuple[Steps, Steps], int | None, str, Steps]) -> None:
    """A job lives, its ledger is lost or goes back, it is taken up: nothing is bought twice, and nothing lost."""
    (beginning, more), at, meanwhile, afterwards = steps
    with two_accounts() as world:
        life, backup = Life(world), None
        for number, step in enumerate([*beginning, *more]):
            life.go_on([step])
            backup = world.back_up() if number == at else backup
        if backup is not None:
            world.go_back(backup)
        else:
            world.lose()
        life.go_on([(step, "") for step in meanwhile.split()], lost=True)
        world.recover()
        life.go_on([*TRIES, *afterwards, *TRIES])
        world.places = 0
        world.recover()
        world.check()
        hashes = [
            key for each in BOTH for key in world.server.keys(f"{prefix(each)}*:*") if world.server.type(key) == "hash"
        ]
        known = " ".join(str(value) for key in hashes for value in world.server.hgetall(key).values())
        for pid, state in life.shop.sold.items():
            assert state != "sold" or pid in known, f"{pid} was bought, and nothing knows it"
