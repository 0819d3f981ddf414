"""The imaginary provider of `atelier` with outputs of other kinds, and a store step that brings them home."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from types import SimpleNamespace
from typing import IO, Any, ClassVar

import pytest

from bide.ledger import Verb
from bide.providers import installed, reading
from bide.providers.base import (
    Account,
    Answer,
    Finished,
    MediaKind,
    Operation,
    PollOutcome,
    Submission,
    SubmitOutcome,
    Succeeded,
    Ticket,
)
from tasks.steps.outcome import Outcome
from tasks.steps.store import store
from tests.unit.atelier import ACCOUNT, BASE, Atelier, AtelierAdapter, PaintParams
from tests.unit.memory_store import MemoryStorage
from workers.services.fetcher import Fetcher
from workers.services.receipt_writer import NoReceipts
from workers.telemetry.step_log import StepLog

WORK = f"{BASE}/works/7"


class Foundry(AtelierAdapter):
    """Makes bodies, sound, text and archives; its answers name outputs inline or by address, and what is missing."""

    operations: ClassVar = {
        "paint": Operation(
            params=PaintParams,
            kinds=frozenset({MediaKind.IMAGE, MediaKind.AUDIO, MediaKind.MODEL, MediaKind.TEXT, MediaKind.ARCHIVE}),
        )
    }

    def read_submit(self, answer: Answer, submission: Submission, account: Account) -> SubmitOutcome:
        body = answer.object()
        if body.get("outputs"):
            outputs = reading.all_media(body["outputs"], role="output")
            return Finished(reading.as_id(body.get("id")), outputs, partial=body.get("missing", ""))
        return super().read_submit(answer, submission, account)

    def read_poll(self, answer: Answer, ticket: Ticket, account: Account) -> PollOutcome:
        body = answer.object()
        if body.get("state") != "done":
            return super().read_poll(answer, ticket, account)
        return Succeeded(reading.all_media(body.get("outputs"), role="output"), body.get("missing", ""))


class NotingStorage(MemoryStorage):
    """Notes type and metadata of each object, by its file name."""

    def __init__(self) -> None:
        super().__init__()
        self.about: dict[str, dict[str, Any]] = {}

    def put(self, key: str, content: bytes | IO[bytes], **about: Any) -> None:
        self.about[key.rpartition("/")[2]] = about
        super().put(key, content)


class FoundryWorld(Atelier):
    """With a store in memory, and a store step."""

    def __init__(self) -> None:
        super().__init__()
        self.storage = NotingStorage()
        http: Any = self
        storage: Any = self.storage
        self.fetcher = Fetcher(http, storage, self.event_loop, max_bytes=1_000_000)
        self.receipts = NoReceipts()
        self.store_check = SimpleNamespace(wait=lambda: "", doubt=lambda: None)

    def made(self, *files: bytes, **more: Any) -> dict[str, Any]:
        """An answer with these files inline."""
        return {"state": "done", "outputs": [f"data:;base64,{b64encode(file).decode()}" for file in files], **more}

    def store(self, job_id: str = "a") -> Outcome:
        """A message brings a worker to the job, which is to be stored."""
        self.clock.advance(1)
        step = self.ledger.jobs.step(job_id, ACCOUNT, token="s")
        assert step.verb is Verb.STORE
        assert step.record is not None
        tools: Any = self
        with StepLog("job.step") as self.line:
            return store(tools, step.record, "s", now=step.now)

    def document(self) -> dict[str, Any]:
        """What `job.json` says."""
        [content] = [content for key, content in self.storage.client.objects.items() if key.endswith("job.json")]
        found: dict[str, Any] = json.loads(content)
        return found


@pytest.fixture
def foundry() -> Iterator[FoundryWorld]:
    """A deployment in memory with that provider installed."""
    installed()["atelier"] = Foundry()
    world = FoundryWorld()
    world.reply("POST", f"{BASE}/works", {"id": "7"})
    try:
        yield world
    finally:
        world.event_loop.stop()
        del installed()["atelier"]
