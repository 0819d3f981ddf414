"""The ledger: job records and their clocks in Redis. It is the truth; a message is a hint.

Every live job stands on exactly one clock, a sorted set of its provider account: `queued` (order in line), `lease`
(somebody works on it, or a message to do so is under way; score = when that is given up) or `due` (at the provider;
score = next poll). Every move is one Lua script beside this file, so nothing is ever half done.
"""

from bide.ledger.ledger import Ledger
from bide.ledger.records import (
    AccountName,
    Claim,
    Claimed,
    Concluded,
    Hint,
    Limits,
    Messages,
    Polled,
    Record,
    Repair,
    Round,
    Step,
    Timing,
    Verb,
)

__all__ = [
    "AccountName",
    "Claim",
    "Claimed",
    "Concluded",
    "Hint",
    "Ledger",
    "Limits",
    "Messages",
    "Polled",
    "Record",
    "Repair",
    "Round",
    "Step",
    "Timing",
    "Verb",
]
