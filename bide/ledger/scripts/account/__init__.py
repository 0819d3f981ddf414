"""The scripts of an account, or of many of its jobs. Each Lua file says its arguments and its reply."""

from collections.abc import Sequence
from typing import NamedTuple

from bide.ledger.script import Script


class Admit(Script):
    max_in_flight: int
    submits_per_second: float
    hint_seconds: float
    most: int


class BlockSubmits(Script):
    seconds: float
    reason: str


class Pause(Script):
    reason: str
    by: str


class Resume(Script):
    pass


class Claim(Script):
    seq: int
    batch: int
    claim_seconds: float
    polls_per_second: float
    max_in_flight: int
    submits_per_second: float


class Reclaim(Script):
    claim_seconds: float
    ids: Sequence[str]


class Outcome(NamedTuple):
    id: str
    kind: str
    seconds: float
    key: str
    value: str
    note: str
    seen: bool
    unknown_for: str
    late_seconds: str
    word: str


class Polled(Script):
    hint_seconds: float
    max_in_flight: int
    submits_per_second: float
    outcomes: Sequence[Outcome]


class Model(NamedTuple):
    operation: str
    before: str
    after: str


class Learn(Script):
    news: Sequence[Model]


class Lease(NamedTuple):
    id: str
    token: str


class Renew(Script):
    lease_seconds: float
    leases: Sequence[Lease]


class Watch(Script):
    lease_seconds: float


class Census(Script):
    clock: str
    offset: int
    page: int


class Sweep(Script):
    page: int
    hint_seconds: float
    lease_seconds: float
    most_crashes: int
    retention_seconds: float
    max_in_flight: str
    submits_per_second: str
    crashed_error: str
    unconfirmed_error: str
    deadline_error: str
    deadline_unconfirmed_error: str
    backlog: str
