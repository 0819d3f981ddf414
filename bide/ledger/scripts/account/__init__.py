"""The scripts of an account, or of many of its jobs. Each Lua file says its arguments and its reply."""

from collections.abc import Sequence
from typing import NamedTuple

from bide.ledger.script import BOUND, Key, Script
from bide.ledger.scripts.job import BudgetLimit


class Admit(Script):
    max_in_flight: int = BOUND
    submits_per_second: float = BOUND
    hint_seconds: float = BOUND
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
    claim_seconds: float = BOUND
    polls_per_second: float = BOUND
    max_in_flight: int = BOUND
    submits_per_second: float = BOUND


class Reclaim(Script):
    claim_seconds: float = BOUND
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
    cost: str = ""


class Polled(Script):
    hint_seconds: float = BOUND
    max_in_flight: int = BOUND
    submits_per_second: float = BOUND
    retention_seconds: float = BOUND
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
    lease_seconds: float = BOUND
    leases: Sequence[Lease]


class Watch(Script):
    lease_seconds: float = BOUND


class Census(Script):
    clock: str
    offset: int
    page: int


class Tenants(Script):
    most: int


class Sweep(Script):
    page: int
    hint_seconds: float = BOUND
    lease_seconds: float = BOUND
    most_crashes: int = BOUND
    retention_seconds: float = BOUND
    max_in_flight: str = BOUND
    submits_per_second: str = BOUND
    tenant_caps: str = BOUND
    crashed_error: str
    unconfirmed_error: str
    canceled_error: str
    deadline_error: str
    deadline_unconfirmed_error: str
    over_budget_error: str
    backlog: str


class Wake(Script):
    hint_seconds: float = BOUND
    max_in_flight: int = BOUND
    submits_per_second: float = BOUND
    most: int
    only: str
    budgets: Sequence[BudgetLimit]


class BookedAmount(NamedTuple):
    row: str
    kind: str
    amount: int


class Restore(Script):
    statements: Key
    day: str
    account_name: str
    reaches: str
    rows: Sequence[BookedAmount]


class Recent(Script):
    behind: str
    behind_id: str
    oldest: float
    examine: int
    most: int
    states: str
    codes: str
    operation: str
    run: str
    words: Sequence[str]


class Holders(Script):
    accounts: Key
    ids: Sequence[str]
