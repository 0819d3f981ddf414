"""Makes values of the scripts' replies, which are lists of strings and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bide.ledger.poll_records import Claimed
from bide.ledger.records import AccountName, BoughtWith, Hint, Messages, Round


def pairs(flat: Sequence[str]) -> dict[str, str]:
    """A hash from the flat list that Redis replies."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def hint_of(account: AccountName, reply: Sequence[str], countdown_seconds: float = 0.0) -> Hint:
    """A hint from job id, queue and signature, and from the account of a job that has gone on at a fallback."""
    job_id, queue, signature, *moved_to = reply
    return Hint(AccountName.parse(moved_to[0]) if moved_to else account, job_id, queue, signature, countdown_seconds)


def round_of(account: AccountName, reply: Sequence[Any]) -> Round | None:
    """A round from seq and seconds; None where the script schedules none."""
    return Round(account, int(reply[0]), float(reply[1])) if reply else None


def messages_of(account: AccountName, reply: Sequence[Any]) -> Messages:
    """Messages from a list of hints, a round and, where the script knows, whether callbacks are due."""
    hints = tuple(hint_of(account, hint) for hint in reply[0])
    return Messages(hints, round_of(account, reply[1]), account if any(reply[2:3]) else None)


def claimed_of(reply: Sequence[str]) -> Claimed:
    """A claimed job from the fields in the order of `account/claim.lua`; those that the record lacks come as ''."""
    job_id, late, operation, provider_job_id, cursor, seen, polls, deadline, unknown_for, empties, *more = reply
    submitted, ran, estimate, handle, base_url, adapter, cancel, progress, fetching, lane = more
    return Claimed(
        job_id,
        float(late),
        operation,
        provider_job_id,
        cursor,
        seen == "1",
        int(polls or 0),
        float(deadline or 0),
        float(unknown_for or 0),
        int(empties or 0),
        float(submitted or 0),
        float(ran or 0),
        float(estimate or 0),
        BoughtWith(base_url, adapter, handle),
        cancel,
        progress,
        int(fetching or 0),
        lane,
    )
