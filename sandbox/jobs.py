"""Jobs: bought once, done after a while, unless something else was ordered."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from random import Random
from typing import Any

from sandbox.faults import Value
from sandbox.rules import Rule, orders_in

#: Share of its time a job spends in the queue.
_QUEUED_SHARE = 0.25

#: How far the latency of a job lies from the mean at most.
_SPREAD = 0.3

#: Longer strings of a request (pictures as base64) are not part of its text [characters].
_LONGEST_TEXT = 4000


class Phase(StrEnum):
    """What a poll shows of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    EMPTY = "empty"
    FAILED = "failed"
    CANCELED = "canceled"
    MISSING = "missing"
    ODD = "odd"


#: What a job comes to if another end than success was ordered, or it was canceled.
_ENDS = {
    "canceled": Phase.CANCELED,
    "expired": Phase.MISSING,
    "interrupted": Phase.FAILED,
    "moderated": Phase.FAILED,
    "request_moderated": Phase.FAILED,
    "fail": Phase.FAILED,
    "aborted": Phase.FAILED,
    "failure_in_result": Phase.FAILED,
    "empty_result": Phase.EMPTY,
}


#: What keeps a job from ending by itself.
_FOR_EVER = ("never_starts", "never_finishes")


@dataclass(frozen=True)
class Draft:
    """A request that passed the provider's checks; `params` never holds a key."""

    provider: str
    operation: str
    params: Mapping[str, Any]
    #: What the job is known by among people: the prompt, mostly.
    reference: str = ""
    #: What its answers need: sizes, counts, formats.
    details: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def text(self) -> str:
        """All short texts of the request, for rules that match and for orders in it."""
        return "\n".join(_texts(self.params))

    @cached_property
    def digest(self) -> str:
        """A digest of the request: equal requests have equal ones."""
        canonical = json.dumps([self.provider, self.operation, self.params], sort_keys=True, default=str)
        return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if len(value) <= _LONGEST_TEXT:
            yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _texts(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _texts(entry)


def latency_of(digest: str, *, mean_seconds: float, seed: int = 0) -> float:
    """How long the job of a digest takes [seconds]: always the same, within 30 % of the mean."""
    return mean_seconds * Random(f"{seed}/{digest}").uniform(1 - _SPREAD, 1 + _SPREAD)


@dataclass(slots=True)
class Job:
    """One purchase and what becomes of it. Times are seconds since the epoch."""

    id: str
    provider: str
    operation: str
    digest: str
    accepted_at: float
    latency_seconds: float
    reference: str = ""
    text: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    fates: dict[str, Value] = field(default_factory=dict)
    orders: list[Rule] = field(default_factory=list)
    polls: int = 0
    empty_looks: int = 0
    looks_at_work: int = 0
    #: How the bill calls the key that bought it, and what it costs (`bill.priced`).
    key: str = ""
    price: dict[str, Any] = field(default_factory=dict)

    def observe(self, now: float) -> Phase:
        """What a poll shows; counts the polls."""
        self.polls += 1
        if self.polls <= float(self.fates.get("not_found_first", 0)):
            return Phase.MISSING
        phase = self.glance(now)
        if phase is Phase.RUNNING and "back_to_queue" in self.fates:
            self.looks_at_work += 1
            return Phase.QUEUED if 1 < self.looks_at_work <= 1 + float(self.fates["back_to_queue"]) else phase
        return Phase.EMPTY if phase is Phase.DONE and self.is_empty_yet() else phase

    def is_empty_yet(self) -> bool:
        """Whether this look at the finished job shows no result; counts the looks."""
        if self.empty_looks >= float(self.fates.get("empty_first", "empty_once" in self.fates)):
            return False
        self.empty_looks += 1
        return True

    def cancel(self, now: float) -> None:
        """Stop it, unless it heeds no cancel or has ended."""
        if self.running(now) and not {"cancel_ignored", "cancel_too_late"} & self.fates.keys():
            self.fates["canceled"] = now

    def glance(self, now: float) -> Phase:
        """How it stands, without counting as a poll."""
        if self.running(now):
            queued = now - self.accepted_at < self.latency_seconds * _QUEUED_SHARE
            return Phase.QUEUED if queued or "never_starts" in self.fates else Phase.RUNNING
        return next((phase for fate, phase in _ENDS.items() if fate in self.fates), Phase.DONE)

    def running(self, now: float) -> bool:
        endless = not self.fates.keys().isdisjoint(_FOR_EVER)
        return "canceled" not in self.fates and (endless or now < self.done_at)

    @property
    def done_at(self) -> float:
        return self.accepted_at + self.latency_seconds

    def share(self, now: float) -> float:
        """How much of its time has passed, from 0 on; above 1 for one that takes longer."""
        return (now - self.accepted_at) / max(self.latency_seconds, 0.001)

    def has_files(self, now: float) -> bool:
        """Whether its files can be fetched."""
        expires_at = self.done_at + float(self.fates.get("result_expires", math.inf))
        return self.glance(now) is Phase.DONE and now < expires_at

    def stop(self, now: float) -> None:
        """End it now, as its provider's cancel does."""
        self.fates = {name: value for name, value in self.fates.items() if name not in _FOR_EVER}
        self.fates["interrupted"] = 0.0
        self.latency_seconds = now - self.accepted_at

    @property
    def failure(self) -> str:
        return str(self.fates.get("fail") or self.fates.get("failure_in_result") or self.fates.get("moderated") or "")

    @property
    def created(self) -> str:
        """When it was bought, RFC 3339."""
        return datetime.fromtimestamp(self.accepted_at, UTC).isoformat().replace("+00:00", "Z")

    def receipt(self) -> dict[str, Any]:
        """The purchase, as the ledger shows it."""
        return {
            "provider": self.provider,
            "operation": self.operation,
            "id": self.id,
            "digest": self.digest,
            "time": self.accepted_at,
            "reference": self.reference,
        }

    def record(self) -> dict[str, Any]:
        """Everything needed to know the job again after a restart."""
        kept = ("latency_seconds", "text", "details", "fates", "key", "price")
        return self.receipt() | {name: getattr(self, name) for name in kept}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Job:
        known = {name: value for name, value in record.items() if name != "time"}
        return cls(accepted_at=record["time"], orders=orders_in(record["text"]), **known)
