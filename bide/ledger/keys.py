"""The names of the keys that Python reads; the scripts make the others."""

from __future__ import annotations

import hashlib
from datetime import date

from bide.ledger.records import AccountName

#: The set of all accounts that ever had a job.
ACCOUNTS_KEY = "bide:accounts"

#: The beginning of the keys that are the ledger's as a whole.
WHOLE_PREFIX = "bide:ledger:"


def prefix(account: AccountName) -> str:
    """The beginning of all keys of an account; the hash tag keeps them in one slot."""
    return f"bide:{{{account}}}:"


def canceled_key(job_id: str) -> str:
    """The key of a cancel whose job no process has opened yet."""
    return f"bide:canceled:{job_id}"


def idempotency_key(key: str) -> str:
    """The key of an idempotency key, which is digested, since callers put anything into it."""
    return f"bide:idem:{hashlib.sha256(key.encode()).hexdigest()[:40]}"


def book_key(account: AccountName, day: date) -> str:
    """The key of an account's book of one day (UTC)."""
    return f"{prefix(account)}book:{day.isoformat()}"


def purchases_key(account: AccountName) -> str:
    """The key of what became of an account's purchases, a line each, until a statement has it."""
    return f"{prefix(account)}purchases"


def budget_key(name: str, period: str) -> str:
    """The key of what stands in a budget for one period: a day, a month, or `all`."""
    return f"bide:budget:{name}:{period}"


#: The statements that this ledger has written, by day, and those that it has taken up.
STATEMENTS_KEY = "bide:statements"

#: What the file of budgets says, by name.
BUDGETS_KEY = "bide:budgets"

#: What the workers' settings say of prices.
PRICES_KEY = "bide:prices"
