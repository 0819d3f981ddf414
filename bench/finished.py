"""Finished jobs for measurements of memory: taken through the ledger by its own scripts, as workers take them."""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import redis

from bide.contract import Failure, FailureCode, GenerateRequest, JobResult, JobState, Output, object_key
from bide.ledger import AccountName, BoughtWith, Ledger, Limits, Polled
from bide.ledger.records import Timing

BUCKET = "acme-renders"

_SUBJECTS = (
    "a lighthouse keeper mending a net",
    "two children flying a kite over wheat fields",
    "an espresso machine made of brass",
    "a fox asleep under a maple tree",
    "the reading room of an old library",
    "a runner's trainers, mid-air splash of paint",
    "a terraced vineyard after harvest",
    "a paper model of a harbour town",
)
_SCENES = ("late October fog", "noon, hard shadows", "blue hour", "first snow", "thunderstorm behind", "lit by candles")
_STYLES = (
    "gouache",
    "medium format, Portra 160",
    "linocut, two colours",
    "isometric render",
    "editorial, f/2.8",
    "ink",
)


@dataclass(frozen=True)
class Offer:
    """What is asked of one provider, and where."""

    account: AccountName
    operation: str
    lane: str
    base_url: str
    params: dict[str, Any]
    cost: str = ""
    contract: str = ""


OFFERS = (
    Offer(
        AccountName("photogpt", "default"),
        "images.generation",
        "sdxl-lightning",
        "https://developer.photogptai.com/api",
        {"modelID": "sdxl-lightning", "numImages": 1, "aspectRatio": "4:5"},
    ),
    Offer(
        AccountName("bfl", "studio"),
        "flux-2-pro",
        "",
        "https://api.eu.bfl.ai",
        {"width": 1440, "height": 960, "output_format": "png"},
        cost="4.5 credits",
    ),
    Offer(
        AccountName("replicate", "default"),
        "predict",
        "stability-ai/sdxl",
        "https://api.replicate.com/v1",
        {"model": "stability-ai/sdxl", "input": {"num_outputs": 1, "refine": "expert_ensemble_refiner"}},
    ),
    Offer(
        AccountName("nextry", "main"),
        "generate_image",
        "",
        "https://api.nextry.app",
        {"garment": "coat", "pose": "walking"},
    ),
)


class Maker:
    """Makes finished jobs. The same seed makes the same jobs, on any release of the ledger."""

    def __init__(self, server: redis.Redis, *, packs: bool, results: bool = True, seed: int = 7) -> None:
        """`packs`: as workers do it; `results`: Celery's result is stored beside the record."""
        self._chance, self._now = random.Random(seed), 1_785_000_000.0
        self._server, self._results = server, results
        timing = Timing(packs=packs, lease_seconds=3600)
        self.ledger = Ledger(
            server, limits=lambda _: Limits(max_in_flight=10**7), timing=timing, clock=lambda: self._now
        )

    def succeeded(self, outputs: int, *, idempotent: bool = False) -> str:
        """A job with so many results, asked about six times or so; returns its id."""
        offer, request, job_id = self._accepted(outputs, idempotent=idempotent)
        self._polled(offer, job_id)
        media = json.dumps([["image", f"https://cdn.example.com/{uuid.UUID(int=self._chance.getrandbits(128))}.png"]])
        self._report(offer, Polled(job_id, "ended", value=media, note="succeeded"))
        self._now += self._chance.uniform(0.2, 1.5)
        record = self.ledger.jobs.step(job_id, offer.account, token="s" * 32).record
        assert record is not None
        result = self._result(record.text("pid"), job_id, request, outputs, polls=int(record.number("polls")))
        assert self.ledger.jobs.conclude(record, "s" * 32, JobState.SUCCEEDED, result=result.model_dump_json())
        self._answer(offer, job_id, {"status": "SUCCESS", "result": result.to_wire()})
        return job_id

    def failed(self) -> str:
        """A job that its provider refused to make; returns its id."""
        offer, _, job_id = self._accepted(1, idempotent=False)
        self._polled(offer, job_id)
        message = f"{offer.account.provider} reports: the input was flagged as sensitive, try a different one"
        failure = Failure(
            code=FailureCode.MODERATED, message=message, job_id=job_id, provider=offer.account.provider
        ).model_dump_json()
        self._report(offer, Polled(job_id, "failed", value=failure, note="failed"))
        assert self.ledger.jobs.step(job_id, offer.account, token="s" * 32).record
        self._answer(
            offer, job_id, {"status": "FAILURE", "result": {"exc_type": "JobFailed", "exc_message": [failure]}}
        )
        return job_id

    def _accepted(self, outputs: int, *, idempotent: bool) -> tuple[Offer, GenerateRequest, str]:
        """A job at its provider."""
        chance, offer = self._chance, self._chance.choice(OFFERS)
        self._now += chance.uniform(0.01, 0.06)
        job_id, own_id = (str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(2))
        prompt = ", ".join(map(chance.choice, (_SUBJECTS, _SCENES, _STYLES)))
        params = {**offer.params, "prompt": prompt, "seed": chance.randrange(2**31)}
        request = GenerateRequest(
            provider=offer.account.provider,
            account=offer.account.account,
            operation=offer.operation,
            params=params if outputs == 1 else {**params, "count": outputs},
            metadata={"sku": f"AC-{chance.randrange(10**5):05}", "batch": f"autumn-{chance.randrange(40)}"},
            idempotency_key=f"sku-{job_id}" if idempotent else None,
        )
        what = f"{offer.account.provider} {offer.operation} {prompt[:40]}"
        signature = json.dumps({"root_id": job_id, "kwargsrepr": what})
        ledger, token = self.ledger, "t" * 32
        record = ledger.jobs.step(
            job_id, offer.account, token=token, request=request, signature=signature, lane=offer.lane
        ).record
        assert record is not None
        self._now += chance.uniform(0.01, 0.05)
        bought = BoughtWith(offer.base_url, f"{offer.account.provider} 1", cost=offer.cost)
        attempt = ledger.submits.intend(record, token, bought_with=bought, lane=offer.lane)
        self._now += chance.uniform(0.2, 1.2)
        ledger.submits.submitted(
            record, token, attempt=attempt, provider_job_id=own_id, first_poll_seconds=2.0, bought_with=bought
        )
        return offer, request, job_id

    def _polled(self, offer: Offer, job_id: str) -> None:
        for number in range(self._chance.randrange(3, 8)):
            self._now += 2.0 * 1.5**number
            word = "starting" if number == 0 else "processing"
            self._report(offer, Polled(job_id, "running", seconds=5, note=word, seen=True))
        self._now += 3.0

    def _report(self, offer: Offer, polled: Polled) -> None:
        late = self._chance.uniform(0.0, 0.4)
        self.ledger.polls.record(offer.account, [replace(polled, late_seconds=late)])

    def _result(self, own_id: str, job_id: str, request: GenerateRequest, outputs: int, *, polls: int) -> JobResult:
        now = datetime.fromtimestamp(self._now, UTC)
        keys = [object_key(job_id, f"{number}.png", created_at=now, prefix=None) for number in range(outputs)]
        return JobResult(
            job_id=job_id,
            provider=request.provider,
            operation=request.operation,
            provider_job_id=own_id,
            polls=polls,
            submitted_at=now,
            finished_at=datetime.fromtimestamp(self._now + self._chance.random(), UTC),
            outputs=tuple(self._output(key) for key in keys),
            metadata=request.metadata,
        )

    def _output(self, key: str) -> Output:
        return Output(
            uri=f"s3://{BUCKET}/{key}",
            bucket=BUCKET,
            key=key,
            content_type="image/png",
            size=self._chance.randrange(300_000, 4_000_000),
            sha256=f"{self._chance.getrandbits(256):064x}",
            width=1440,
            height=960,
        )

    def _answer(self, offer: Offer, job_id: str, meta: dict[str, Any]) -> None:
        """Celery stores the result, then the ledger notes it."""
        done = datetime.fromtimestamp(self._now, UTC).isoformat()
        stored = json.dumps({**meta, "traceback": None, "children": [], "date_done": done, "task_id": job_id})
        if self._results:
            self._server.set(f"celery-task-meta-{job_id}", stored, ex=7 * 24 * 3600)
        self.ledger.jobs.answered(offer.account, job_id)
