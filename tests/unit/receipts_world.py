"""A worker in memory that writes receipts, and whose ledger may be lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from bide.contract import GenerateRequest, JobResult, JobState
from bide.ledger import Ledger, Verb
from bide.ledger.identity import KnownLedger
from bide.providers import installed
from bide.receipts import Receipts
from bide.storage import Storage
from tasks.steps.answer import write_receipt
from tasks.steps.home import document_metadata_of, key_of
from tasks.steps.outcome import Answer, Caller
from tests.contract.observed_redis import ObservedRedis
from tests.unit.atelier import ACCEPTED, ACCOUNT, BASE, STATUS, Atelier, AtelierAdapter, Killed
from tests.unit.memory_store import MemoryStorage
from workers.recover import Recoverer
from workers.services.receipt_writer import ReceiptWriter

WHERE = "bide-receipts/here/"


Kind = TypeVar("Kind", bound="World")


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
def opened(**settings: str) -> Iterator[World]:
    """A deployment in memory, with receipts."""
    with opened_as(World, **settings) as world:
        yield world


@contextmanager
def opened_as(kind: type[Kind], **settings: str) -> Iterator[Kind]:
    """A deployment in memory, with receipts and what its kind has besides."""
    installed()["atelier"] = AtelierAdapter()
    world = kind(**settings)
    try:
        yield world
    finally:
        world.receipts.stop()
        world.event_loop.stop()
        del installed()["atelier"]


def asked(**more: Any) -> GenerateRequest:
    """The request of the world's jobs."""
    return GenerateRequest(provider="atelier", operation="paint", params={"motif": "a red fox"}, **more)


def died(*_: Any, **__: Any) -> None:
    """The process ends here."""
    raise Killed


def bought_no_more(world: World, job_id: str = "a") -> None:
    """The caller's message comes again, or the caller: the job is known, and nothing goes out."""
    before, known = world.purchases(), world.record(job_id)
    step = world.ledger.jobs.step(job_id, ACCOUNT, token="t8", request=known.asked, deadline_seconds=60)
    assert step.verb in (Verb.STALE, Verb.ANSWER)
    if key := known.asked.idempotency_key:
        assert world.ledger.jobs.open("other", known.asked, deadline_seconds=60).other == job_id, key
    assert world.purchases() == before


def goes_home(world: World, job_id: str = "a") -> None:
    """The provider is done: the next round finds it, and it is to be stored."""
    before = world.purchases()
    done = {"state": "done", "pictures": ["https://a.studio.example/1.png"]}
    for url in (STATUS, f"{BASE}/works/7"):
        world.reply("GET", url, done)
    world.poll()
    assert world.state(job_id) == JobState.STORING
    assert world.purchases() == before


def store_result(world: World, *, job_id: str = "a", receipts: bool = True) -> Any:
    """The job is stored, and its caller is not told."""
    if not receipts:
        world.ledger.jobs.open(job_id, asked(idempotency_key="q"), deadline_seconds=900)
    record = world.record(job_id)
    result = JobResult(
        job_id=job_id,
        provider="atelier",
        operation="paint",
        provider_job_id="7",
        polls=1,
        finished_at=datetime.now(UTC),
        outputs=(),
    )
    key = key_of(record, "job.json")
    world.bucket.client.objects[key] = result.model_dump_json().encode()
    world.bucket.client.metadata[key] = document_metadata_of(cast("Any", world), record)
    return record


def answer_both(world: World) -> None:
    """The task has answered the job's own caller, and another one that follows it."""
    tools: Any = world
    caller = Caller.of(world.record())
    write_receipt(tools, Answer({}, caller))
    write_receipt(tools, Answer({}, replace(caller, job_id="b", leader="a")))
