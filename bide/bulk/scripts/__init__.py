"""The scripts of bulk runs. Each Lua file says what its keys and arguments mean, and what it replies.

`PREFIX` is the run's, in `open`, `recall` and `drop` an account's.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bide.ledger.script import Key, Script


class Create(Script):
    live_runs: Key
    run: str
    record: Mapping[str, str | int]


class Intake(Script):
    token: str
    seconds: float


class Steer(Script):
    live_runs: Key
    ended_runs: Key
    run: str
    action: str
    note: str
    retention_seconds: int
    limits: Mapping[str, str | int]


class Lease(Script):
    live_runs: Key
    run: str
    token: str
    seconds: float
    early_seconds: float | None


class Release(Script):
    live_runs: Key
    run: str
    token: str
    seconds: float


class Overdue(Script):
    live_runs: Key
    late_seconds: float


class FedRow(NamedTuple):
    live: str
    price: int
    next_offset: str


class Feed(Script):
    token: str
    first_row: int
    buys: bool
    window: int
    rows: Sequence[FedRow]


class BoughtRow(NamedTuple):
    row: str
    noted: str
    live: str
    price: int = 0


class Bought(Script):
    token: str
    rows: Sequence[BoughtRow]


class OpenedRow(NamedTuple):
    row: str
    live: str
    id: str = ""
    request: str = ""
    signature: str = ""
    operation: str = ""
    allowed_seconds: str = ""
    resubmit: bool = False
    fingerprint: str = ""
    callback: bool = False
    lane: str = ""
    fallbacks: int = 0
    tenant: str = ""


class Open(Script):
    live_rows: Key
    accounts: Key
    account_name: str
    run: str
    rows: Sequence[OpenedRow]


class RecalledRow(NamedTuple):
    row: str
    live: str
    id: str


class Recall(Script):
    live_rows: Key
    rows: Sequence[RecalledRow]


class EndedRow(NamedTuple):
    row: str
    live: str
    ending: str


class Assign(Script):
    rows: Sequence[EndedRow]


class Commit(Script):
    part: int
    spent: str
    counts: Mapping[str, int]


class Drop(Script):
    ids: Sequence[str]
