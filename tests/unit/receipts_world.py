"""A worker in memory that writes receipts, and whose ledger may be lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from bide.ledger import Ledger
from bide.ledger.identity import KnownLedger
from bide.providers import installed
from bide.receipts import Receipts
from bide.storage import Storage
from tests.contract.observed_redis import ObservedRedis
from tests.unit.atelier import ACCEPTED, ACCOUNT, BASE, Atelier, AtelierAdapter
from tests.unit.memory_store import MemoryStorage
from workers.recover import Recoverer
from workers.services.receipt_writer import ReceiptWriter

WHERE = "bide-receipts/here/"


class Bucket(MemoryStorage):
    """An object store that refuses, hangs, or loses its writer where a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: BaseException | None = None
        self.gate: threading.Event | None = None
        self.begun = threading.Event()

    def put(self, key: str, content: Any, **how: Any) -> None:
        self.begun.set()
        if self.gate is not None:
            self.gate.wait(10)
        if self.failure is not None:
            raise self.failure
        super().put(key, content, **how)

    @property
    def receipts(self) -> list[Any]:
        """All receipts, in the order of their objects."""
        keys = [key for key in self.client.objects if key.startswith(WHERE)]
        return [each for key in keys for each in Receipts.model_validate_json(self.client.objects[key]).receipts]


class World(Atelier):
    """A worker with receipts, and a ledger that may be lost."""

    def __init__(self, **settings: str) -> None:
        super().__init__(**settings)
        self.clock.now = datetime.now(UTC).timestamp()
        self.bucket = Bucket()
        self.storage: Storage = self.bucket  # type: ignore[assignment]  # a double, as all of it
        self.writer_seconds, self.address = 5.0, "redis://here:6379/0"
        self.start_writer()
        self.reply("POST", f"{BASE}/works", ACCEPTED)

    def start_writer(self) -> None:
        """As another process has one."""
        self.receipts = ReceiptWriter(self.ledger, lambda: self.storage, lambda: WHERE, seconds=self.writer_seconds)

    def receipt_folder(self) -> str:
        return WHERE

    def known_ledger(self) -> KnownLedger:
        """What the bucket knows of the ledger at `address`."""
        return KnownLedger(self.storage, self.address, sentinel_master="mymaster")

    def lose(self) -> None:
        """Redis has nothing any more; what the process had to write is written."""
        self.receipts.stop()
        self.server = ObservedRedis()
        self.ledger = Ledger(self.server, clock=self.clock)
        self.start_writer()

    def recover(self, *, dry: bool = False, **how: Any) -> dict[str, tuple[str, str, str]]:
        """By job: the source, what became of it, and its state."""
        tools: Any = self
        since = datetime.fromtimestamp(self.clock.now, UTC) - timedelta(days=1)
        recoverer = Recoverer(tools, since=since, dry=dry)
        found = {each.job_id: (each.source, each.what, each.state) for each in recoverer.run(**how)}
        assert recoverer.unreadable == []
        return found

    def state(self, job_id: str = "a") -> str:
        found = self.ledger.jobs.read(ACCOUNT, job_id)
        return found.text("state") if found else ""


@contextmanager
def opened(kind: type[World] = World, /, **settings: str) -> Iterator[World]:
    """A deployment in memory, with receipts."""
    installed()["atelier"] = AtelierAdapter()
    world = kind(**settings)
    try:
        yield world
    finally:
        world.receipts.stop()
        world.event_loop.stop()
        del installed()["atelier"]
