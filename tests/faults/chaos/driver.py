"""Has the events of a plan happen, each in a thread of its own, and mends everything at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from bide.errors import LedgerAwayError
from bide.ledger import Ledger
from tests.faults.chaos.budgets import AT_LAST
from tests.faults.chaos.contenders import Bide, Contender
from tests.faults.chaos.hosts import Host
from tests.faults.chaos.plan import Event
from tests.faults.chaos.recovery import Recovery
from tests.faults.chaos.stage import signal_group

#: How long a process that was asked to end may take before it is killed: Celery waits for steps under way [seconds].
GRACE_SECONDS = 30.0

#: How far a wall clock jumps [seconds].
JUMPS = (300, -300, 3600, -30)

#: What a provider does wrong while it has trouble; `times` ends what the window does not.
TROUBLES: tuple[dict[str, object], ...] = (
    {"fault": "429", "operation": "submit", "share": 0.5},
    {"fault": "429", "operation": "poll", "share": 0.5},
    {"fault": "503", "operation": "*", "share": 0.5},
    {"fault": "500", "operation": "poll", "share": 0.7},
    {"fault": "500", "operation": "submit", "times": 3},
    {"fault": "accept_then_drop", "times": 3},
    {"fault": "accept_then_504", "times": 3},
    {"fault": "accept_then_garbage", "times": 3},
    {"fault": "slow", "operation": "submit", "seconds": 3, "share": 0.5},
    {"fault": "slow", "operation": "poll", "seconds": 2, "share": 0.5},
    {"fault": "html_under_200", "operation": "poll", "share": 0.5},
    {"fault": "half_json", "operation": "poll", "share": 0.5},
    {"fault": "unknown_status", "share": 0.5},
    {"fault": "not_found_first", "polls": 2, "share": 0.5},
    {"fault": "empty_once", "share": 0.5},
    {"fault": "truncated", "share": 0.5},
    {"fault": "cut", "share": 0.5},
    {"fault": "html", "operation": "media", "share": 0.3},
    {"fault": "404_once"},
)

#: Messages that are lost while they are dropped.
DROPPED_SHARE = 0.05

#: What `appendfsync everysec` may lose when a host crashes [seconds].
UNSAVED_SECONDS = 1.0

#: When a person tries again what Redis has refused [seconds].
AGAIN_SECONDS = 0.5

#: A mutex as a worker with kombu's own settings leaves it behind [seconds].
MUTEX_SECONDS = 300


class Driver:
    """Runs a plan against a contender."""

    def __init__(self, contender: Contender, plan: list[Event], hosts: list[Host], recovery: Recovery) -> None:
        self._contender, self._stage = contender, contender.stage
        self._plan, self._recovery = plan, recovery
        self._hosts = {host.name: host for host in hosts}
        self._turns = {event.target: threading.Lock() for event in plan}
        #: What did not go by plan.
        self.notes: list[str] = []

    def run(self) -> None:
        """Returns when all has happened and all is mended; raises what an event raised."""
        began = time.monotonic()
        with ThreadPoolExecutor(max_workers=len(self._plan) + 1) as pool:
            under_way: list[Future[None]] = []
            for event in self._plan:
                time.sleep(max(0.0, began + event.at_seconds - time.monotonic()))
                under_way.append(pool.submit(self._happen, event))
            if self._stage.budgets:  # no job waits for a budget any more
                self._stage.budgets.raise_all(by=AT_LAST)
        for each in under_way:
            each.result()
        self.mend()

    def mend(self) -> None:
        """Everything serves again."""
        self._stage.sandbox.clear_faults()
        for process in self._stage.processes.values():
            if not process.alive:
                process.start()

    def _happen(self, event: Event) -> None:
        act: Callable[[Event], None] = getattr(self, f"_{event.kind}")
        with self._turns[event.target]:  # what ends slowly may still be under way
            act(event)

    # Processes

    def _kill(self, event: Event) -> None:
        process = self._stage.processes[event.target]
        signal_group(process, signal.SIGSTOP)  # so that what is looked at is what dies
        self._recovery.killed(event.target, kill=process.kill)
        time.sleep(event.for_seconds)
        process.start()

    def _terminate(self, event: Event) -> None:
        process = self._stage.processes[event.target]
        process.ask_to_end()
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.notes.append(f"{event.target} was still there {GRACE_SECONDS:g} s after SIGTERM")
            process.kill()
        time.sleep(event.for_seconds)
        process.start()

    def _pause(self, event: Event) -> None:
        process = self._stage.processes[event.target]
        signal_group(process, signal.SIGSTOP)
        time.sleep(event.for_seconds)
        signal_group(process, signal.SIGCONT)

    def _beat_dead(self, event: Event) -> None:
        self._kill(event)

    def _clock(self, event: Event) -> None:
        assert isinstance(self._contender, Bide)
        for skew in self._contender.skews.values():
            skew.shift(JUMPS[int(event.choice * len(JUMPS))])
        time.sleep(event.for_seconds)
        for skew in self._contender.skews.values():
            skew.shift(0)

    # Redis

    def _redis_restart(self, event: Event) -> None:
        if event.choice < 0.5:
            self._stage.redis.kill()
        else:
            self._stage.redis.stop()
        time.sleep(event.for_seconds)
        self._stage.redis.start()
        self._recovery.redis_is_away()

    def _power_cut(self, event: Event) -> None:
        """With `everysec` up to a second of writes is not on disk yet; with `always` all that was answered is."""
        redis_server = self._stage.redis
        log = max((self._stage.folder / "redis" / "appendonlydir").glob("*.incr.aof"))
        on_disk_bytes = log.stat().st_size
        time.sleep(UNSAVED_SECONDS)
        redis_server.kill()
        if self._stage.fsync == "everysec":
            os.truncate(log, on_disk_bytes)
        time.sleep(event.for_seconds)
        redis_server.start()
        self._recovery.redis_is_away()

    def _redis_stall(self, event: Event) -> None:
        os.kill(self._stage.redis.pid, signal.SIGSTOP)
        time.sleep(event.for_seconds)
        os.kill(self._stage.redis.pid, signal.SIGCONT)
        self._recovery.redis_is_away()

    def _cut(self, event: Event) -> None:
        self._stage.wire.cut()
        with self._stage.server() as server:
            server.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            server.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

    def _forget(self, event: Event) -> None:
        with self._stage.server() as server:
            server.delete(*self._contender.queues, "unacked", "unacked_index")

    def _mutex(self, event: Event) -> None:
        with self._stage.server() as server:
            server.set("unacked_mutex", "a dead worker", ex=MUTEX_SECONDS)

    # Messages

    def _double(self, event: Event) -> None:
        self._stage.wire.doubling = True
        time.sleep(event.for_seconds)
        self._stage.wire.doubling = False

    def _drop(self, event: Event) -> None:
        self._stage.wire.drop_share = DROPPED_SHARE
        time.sleep(event.for_seconds)
        self._stage.wire.drop_share = 0.0

    # Money

    def _hold(self, event: Event) -> None:
        """An operator pauses an account, and resumes it."""
        account = self._stage.accounts[int(event.choice * len(self._stage.accounts))]
        self._ask(lambda ledger: ledger.accounts.pause(account, reason="a test of it", by="operator"))
        time.sleep(event.for_seconds)
        self._ask(lambda ledger: ledger.accounts.resume(account))

    def _ask(self, do: Callable[[Ledger], object]) -> None:
        """As a person does it: again, where Redis is away at that moment."""
        while True:
            try:
                with self._stage.server() as server:
                    do(Ledger(server))
            except LedgerAwayError:
                time.sleep(AGAIN_SECONDS)
            else:
                return

    def _raise(self, event: Event) -> None:
        if self._stage.budgets:
            self._stage.budgets.raise_all()

    # Outside

    def _store_away(self, event: Event) -> None:
        self._stage.store.process.kill()
        time.sleep(event.for_seconds)
        self._stage.store.process.start()

    def _provider(self, event: Event) -> None:
        self._stage.sandbox.order([TROUBLES[int(event.choice * len(TROUBLES))]])
        time.sleep(event.for_seconds)
        self._stage.sandbox.clear_faults()

    def _partition(self, event: Event) -> None:
        host = self._hosts[event.target]
        host.unplug()
        time.sleep(event.for_seconds)
        host.plug()
