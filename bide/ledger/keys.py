"""The names of the keys that Python needs to know; the scripts make the others."""

from __future__ import annotations

import hashlib

from bide.ledger.records import AccountName

#: The set of all accounts that ever had a job.
ACCOUNTS_KEY = "bide:accounts"


def prefix(account: AccountName) -> str:
    """What all keys of an account begin with; the hash tag keeps them in one slot."""
    return f"bide:{{{account}}}:"


def canceled_key(job_id: str) -> str:
    """Where a cancel is kept whose job no process has opened yet."""
    return f"bide:canceled:{job_id}"


def idempotency_key(key: str) -> str:
    """Where an idempotency key is kept; digested, since callers put anything into it."""
    return f"bide:idem:{hashlib.sha256(key.encode()).hexdigest()[:40]}"
