"""The scripts of callbacks. Each Lua file says what its arguments mean, and what it replies."""

from collections.abc import Sequence
from typing import NamedTuple

from bide.ledger.script import BOUND, Script


class Claim(Script):
    most: int
    claim_seconds: float


class Waiting(NamedTuple):
    id: str
    host: str
    seconds: float


class Postpone(Script):
    waiting: Sequence[Waiting]


class Tried(Script):
    id: str
    number_of_end: str
    outcome: str
    seconds: float
    note: str
    retention_seconds: float = BOUND
    packs: bool = BOUND


class Replay(Script):
    id: str
    retention_seconds: float = BOUND
