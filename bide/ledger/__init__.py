"""The ledger: job records and their clocks in Redis. It is the truth; a message is a hint.

Every live job stands on exactly one clock, a sorted set of its provider account. On `queued` it waits in line, and the
score is its order. On `lease` a worker has it, or a message to a worker is under way; the score is when that is given
up. On `due` it is at the provider, and the score is its next poll. Every transition is one Lua script in `scripts`, so
nothing is ever half done.
"""

from bide.ledger.jobs import Opening
from bide.ledger.ledger import Ledger
from bide.ledger.poll_records import Claim, Claimed, Polled
from bide.ledger.records import (
    AccountName,
    BoughtWith,
    Concluded,
    Hint,
    Limits,
    Messages,
    Record,
    Repair,
    Round,
    Step,
    Timing,
    Verb,
)

__all__ = [
    "AccountName",
    "BoughtWith",
    "Claim",
    "Claimed",
    "Concluded",
    "Hint",
    "Ledger",
    "Limits",
    "Messages",
    "Opening",
    "Polled",
    "Record",
    "Repair",
    "Round",
    "Step",
    "Timing",
    "Verb",
]
