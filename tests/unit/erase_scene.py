"""A ledger and a bucket with jobs that are over, for tests of erasures."""

from __future__ import annotations

import json
from typing import Any

from bide.contract import JobState, object_key
from bide.erasure.erase import Eraser
from bide.erasure.report import Report
from bide.erasure.wanted import Wanted
from bide.ledger.identity import LEDGER, KnownLedger, LedgerState
from bide.ledger.keys import prefix
from bide.ledger.safety import LEDGER_KEY
from bide.receipts import Ended, Intent, NotAccepted, Receipt
from tests.contract.ledger_stage import ACCOUNT, Stage
from tests.unit.memory_store import MemoryStorage, memory_storage

SECRET = "the prompt of a person"


PARAMS = {"modelID": "m1", "prompt": SECRET}


UPLOAD = f"uploads/{'ab' * 32}"


class Scene:
    """A ledger and a bucket with jobs that are over."""

    def __init__(self, *, packs: bool = False) -> None:
        self.stage, self.storage = Stage.in_memory(packs=packs), memory_storage()
        self.packs = packs

    @property
    def objects(self) -> dict[str, bytes]:
        store: Any = self.storage
        assert isinstance(store, MemoryStorage)
        return store.client.objects

    def job(self, job_id: str, **changes: Any) -> str:
        """A job that has succeeded, with its objects and its Celery result; the beginning of its keys."""
        record, token = self.stage.storing(job_id, **{"params": PARAMS, **changes})
        created = record.moment("created")
        assert created
        begin = object_key(job_id, "", created_at=created, prefix=record.request.output_prefix)
        metadata = record.request.metadata
        own = {"bide-job": job_id, **({"bide-tenant": record.text("tenant")} if record.text("tenant") else {})}
        named = {**own, **{name: str(value) for name, value in metadata.items()}}
        document = {"job_id": job_id, "state": "succeeded", "outputs": [], "metadata": metadata, "said": SECRET}
        self.storage.put(f"{begin}0.png", b"picture", content_type="image/png", metadata=named)
        self.storage.put(f"{begin}job.json", json.dumps(document).encode(), content_type="x", metadata=named)
        result = json.dumps({"outputs": [], "metadata": metadata})
        assert self.stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result=result)
        self.stage.ledger.jobs.answered(ACCOUNT, job_id)
        self.stage.server.set(f"celery-task-meta-{job_id}", SECRET)
        return begin

    def forget_record(self, job_id: str) -> None:
        """The record has expired."""
        self.stage.server.delete(f"{prefix(ACCOUNT)}job:{job_id}", f"{prefix(ACCOUNT)}body:{job_id}")

    def eraser(self, wanted: Wanted, **how: Any) -> Eraser:
        return Eraser(self.stage.ledger, self.storage, self.stage.server, wanted, **how)

    def erase(self, *ids: str, **conditions: Any) -> Report:
        return self.eraser(Wanted(frozenset(ids), **conditions)).run()

    def everything(self) -> str:
        """All that stands in Redis and in the bucket, reports included."""
        found: list[str] = [str(dict(self.objects))]
        server: Any = self.stage.server
        for key in server.scan_iter("*", count=1000):
            kind = server.type(key)
            read = {"hash": server.hgetall, "string": server.get, "set": server.smembers}
            found.append(f"{key} {read[kind](key) if kind in read else server.zrange(key, 0, -1)}")
        return "\n".join(found)


OURS, THEIRS = "redis://ours:6379/0", "redis://theirs:6379/0"


LONG_AGO = "2020/01/02"


def known(scene: Any, url: str) -> KnownLedger:
    """What the bucket of a scene or world knows of the ledger at an address."""
    return KnownLedger(scene.storage, url, sentinel_master="mymaster")


def share(scene: Any, *, with_another: bool = True) -> None:
    """Both ledgers have been looked at; ours had another id before."""
    server = scene.stage.server if isinstance(scene, Scene) else scene.server
    server.hset(LEDGER_KEY, mapping={"id": "ours", "looked_at": 100.0})
    known(scene, OURS).write(LedgerState("ours", 100.0), earlier=["ours before"])
    if with_another:
        known(scene, THEIRS).write(LedgerState("theirs", 100.0))


def left(scene: Scene, job_id: str, ledger_id: str, *, document: bool = True) -> str:
    """Objects of a job of which this ledger has no record; the key of the first."""
    about = {"bide-job": job_id, "bide-tenant": "acme", **({LEDGER: ledger_id} if ledger_id else {})}
    begin = f"{LONG_AGO}/{job_id}/"
    scene.storage.put(f"{begin}0.png", b"a picture", content_type="image/png", metadata=about)
    if document:
        scene.storage.put(f"{begin}job.json", b'{"metadata": {"a": "b"}}', content_type="x", metadata=about)
    return f"{begin}0.png"


def receipts_of(job_id: str, tenant: str = "acme", created: float = 1_600_000_000.0) -> tuple[Receipt, ...]:
    """An intent with the prompt, and how the job ended."""
    request = {"provider": "photogpt", "operation": "images.generation", "params": PARAMS, "tenant": tenant}
    about: dict[str, Any] = {"ledger": "l", "job_id": job_id, "account": str(ACCOUNT), "attempt": 1, "at": created}
    return (
        Intent(**about, record={"created": str(created)}, request=json.dumps(request), signature=SECRET),
        NotAccepted(**about),
        Ended(job_id=job_id, account=str(ACCOUNT), at=created + 9, state="failed", error=SECRET),
    )
