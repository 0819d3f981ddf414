"""A poller claims no more jobs than it has connections to ask about: none waits in its pool, none is late for that."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from bide.ledger import Limits, Messages
from bide.ledger.keys import prefix
from config.settings import load
from tasks.steps.round import run_round
from tests.contract.ledger_stage import ACCOUNT, Stage
from workers.accounts import Accounts
from workers.io.http import HttpClient, HttpOptions, Timeouts
from workers.services.event_loop import EventLoop
from workers.services.learner import Learner
from workers.services.poll_timings import PollTimings
from workers.services.polls_in_hand import PollsInHand
from workers.telemetry.step_log import StepLog

#: Connections of the poller, and the most jobs that a round of it takes.
CONNECTIONS, BATCH = 8, 6

BODY = json.dumps({"status": "OK", "result": {"jobId": "p", "status": "processing"}}).encode()


class SlowProvider:
    """Holds all requests until it is let go, and counts them."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop
        self.held, self.most = 0, 0
        self.came = threading.Semaphore(0)
        self._go, self._server = loop.run(self._start())
        self.origin = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def let_go(self) -> None:
        """Answer what is held, and all that comes."""
        self._loop.run(self._open())

    def close(self) -> None:
        self.let_go()
        self._loop.run(self._end())

    async def _end(self) -> None:
        self._server.close()

    async def _start(self) -> tuple[asyncio.Event, asyncio.Server]:
        return asyncio.Event(), await asyncio.start_server(self._answer, "127.0.0.1", 0)

    async def _open(self) -> None:
        self._go.set()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.held += 1
        self.most = max(self.most, self.held)
        self.came.release()
        await self._go.wait()
        self.held -= 1
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY)
        writer.write(head + BODY)
        writer.close()


class Poller:
    """As much of a toolbox as rounds take, with a ledger in memory and connections that are real."""

    def __init__(self) -> None:
        self.stage, self.event_loop = Stage.in_memory(), EventLoop()
        self.stage.limits[ACCOUNT] = Limits(max_in_flight=1000)
        self.provider = SlowProvider(self.event_loop)
        self.settings = load(
            {
                "BIDE_S3__BUCKET": "results",
                "BIDE_TIMING__POLL_BATCH": str(BATCH),
                "BIDE_PROVIDERS__PHOTOGPT__BASE_URL": self.provider.origin,
                "BIDE_PROVIDERS__PHOTOGPT__API_KEY": "key-0123456789",
                "BIDE_PROVIDERS__PHOTOGPT__POLL_LEARN": "false",
            },
            env_file=None,
        )
        self.ledger = self.stage.ledger
        self.accounts = Accounts(self.settings)
        self.poll_timings = PollTimings(self.accounts, Learner(self.ledger))
        self.http = HttpClient(HttpOptions(api=Timeouts(0.3, 5.0, 10.0), max_connections=CONNECTIONS))
        self.polls_in_hand = PollsInHand(CONNECTIONS)
        self.leases = SimpleNamespace(claiming=lambda *_: nullcontext())
        self.dispatcher, self.claimed = self, threading.Semaphore(0)

    def send(self, messages: Messages) -> None:
        """The first that a round sends is the round after it, once it has claimed its jobs."""
        self.claimed.release()

    def round(self) -> None:
        """The round that is due; a number that no round has stands in for it."""
        tools: Any = self
        with StepLog("poll.round") as line:
            line.silent = True
            run_round(tools, ACCOUNT, -1, line)

    def notes(self) -> list[str]:
        """What the polls of each job have come to; '' for no poll."""
        return [self.stage.field(f"j{number}", "note") for number in range(20)]

    def due(self) -> int:
        """How many jobs are due and not claimed."""
        return int(self.stage.server.zcount(f"{prefix(ACCOUNT)}due", "-inf", self.stage.clock.now))

    def close(self) -> None:
        self.provider.close()
        self.event_loop.run(self.http.aclose())
        self.event_loop.stop()


@pytest.fixture
def poller() -> Iterator[Poller]:
    """One with twenty jobs that are due."""
    made = Poller()
    for number in range(20):
        made.stage.running(f"j{number}")
    made.stage.clock.advance(5)
    yield made
    made.close()


def test_rounds_side_by_side_claim_what_can_be_asked(poller: Poller) -> None:
    """While the provider is slow, no poll waits for a connection until its time is up; what is left stays due."""
    rounds = [threading.Thread(target=poller.round) for _ in range(4)]
    for each in rounds:
        each.start()
    for _ in rounds:
        assert poller.claimed.acquire(timeout=5)
    in_hand = 20 - poller.due()
    for _ in range(in_hand):
        assert poller.provider.came.acquire(timeout=1), "a claimed job waits for a connection"
    poller.provider.let_go()
    for each in rounds:
        each.join(timeout=10)
    assert 0 < in_hand <= CONNECTIONS
    assert set(poller.notes()) == {"", "processing"}


def test_what_is_left_is_polled_once_hands_are_free(poller: Poller) -> None:
    """Round by round each job is asked about, and none is failed for its wait."""
    poller.provider.let_go()
    for _ in range(5):
        poller.round()
    assert (poller.due(), set(poller.notes())) == (0, {"processing"})
    with poller.polls_in_hand.share(CONNECTIONS) as share:
        assert share.polls == CONNECTIONS // 2


def test_a_slow_round_leaves_places_to_others() -> None:
    """Each gets half of what is free, and none where nothing is; what has come back is there for the next one."""
    hand = PollsInHand(8)
    with hand.share(100) as first, hand.share(100) as second, hand.share(1) as third, hand.share(9) as last:
        assert [share.polls for share in (first, second, third, last)] == [4, 2, 1, 1]
        with hand.share(9) as none:
            assert none.polls == 0
        first.give_back(3)
        with hand.share(9) as further:
            assert further.polls == 2
    with hand.share(3) as share:
        assert share.polls == 3


def test_a_round_that_breaks_gives_all_back() -> None:
    """Its places are not lost to the process."""
    hand = PollsInHand(4)
    for _ in range(3):
        with pytest.raises(RuntimeError), hand.share(2):
            raise RuntimeError
    with hand.share(2) as share:
        assert share.polls == 2
