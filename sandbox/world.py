"""What the providers share: the options, the ledger, the ordered faults, the gallery, the counters."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.bill import Price, label_of, priced
from sandbox.faults import PROVIDERS, SUBMIT
from sandbox.gallery import Gallery
from sandbox.hooks import Caller
from sandbox.jobs import Draft, Job, latency_of
from sandbox.pictures import Order
from sandbox.purchases import Purchases
from sandbox.rules import Rulebook

#: The key that no provider takes.
BAD_KEY = "bad-key"

#: A style, model, tool or picture whose name begins like this does not exist.
UNKNOWN_NAME = "no-such"


@dataclass(frozen=True)
class Options:
    """How the sandbox behaves."""

    #: Mean time of a job [seconds]; each lies within 30 % of it.
    latency_seconds: float = 4.0
    #: Another seed gives other latencies, pictures and chances.
    seed: int = 0
    #: Size results are padded to [bytes]; then all of a kind share one picture.
    result_bytes: int | None = None
    #: Where purchases are written, and read from at start.
    journal: Path | None = None
    #: The only key that is taken; empty: any but `BAD_KEY`.
    key: str = field(default="", repr=False)


class World:
    """The state of one sandbox."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.purchases = Purchases(options.journal)
        self.rules = Rulebook(seed=options.seed)
        self.prices: list[Price] = []
        self.gallery = Gallery(result_bytes=options.result_bytes)
        self.hooks = Caller()
        self.requests: Counter[tuple[str, str]] = Counter()

    def takes_key(self, key: str) -> bool:
        if self.options.key:
            return key == self.options.key
        return key not in ("", BAD_KEY)

    def accept(self, draft: Draft, job_id: str, *, at_once: bool = False, key: str = "") -> Job:
        """Buy with a key: from here on the job exists and is paid for."""
        orders = self.rules.hand_over(draft.digest, draft.text)
        job = Job(
            id=job_id,
            provider=draft.provider,
            operation=draft.operation,
            digest=draft.digest,
            accepted_at=time.time(),
            latency_seconds=0.0 if at_once else self.latency(draft.digest),
            reference=draft.reference,
            text=draft.text,
            details=dict(draft.details),
            orders=orders,
            key=label_of(key),
            price=priced(self.prices, draft),
        )
        job.fates |= self.rules.fates(draft.provider, SUBMIT, job.text, orders)
        self.purchases.add(job)
        return job

    def latency(self, digest: str) -> float:
        return latency_of(digest, mean_seconds=self.options.latency_seconds, seed=self.options.seed)

    def order(self, subject: str, file_format: str, width: int = 512, height: int = 512) -> Order:
        """The picture of a subject, as this seed sees it."""
        return Order(f"{self.options.seed}/{subject}", file_format, width, height)

    def stats(self) -> dict[str, Any]:
        """What was asked and bought since the start, whole and by provider."""
        bought = Counter(job.provider for job in self.purchases.of())
        providers = {
            name: {
                **{operation: count for (owner, operation), count in sorted(self.requests.items()) if owner == name},
                "purchases": bought[name],
            }
            for name in PROVIDERS
        }
        polls = sum(count for (_, operation), count in self.requests.items() if operation == "poll")
        return {
            "requests": self.requests.total(),
            "polls": polls,
            "purchases": len(self.purchases),
            "drawn": self.gallery.drawn,
            "hooks": {str(code): count for code, count in sorted(self.hooks.answers.items())},
            "providers": providers,
        }

    def reset(self) -> None:
        """Forget everything: jobs, purchases, prices, faults, counts."""
        self.purchases.clear()
        self.rules.clear()
        self.prices.clear()
        self.hooks.forget()
        self.requests.clear()
        self.gallery.clear()

    def close(self) -> None:
        self.purchases.close()
        self.gallery.close()
