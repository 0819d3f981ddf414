"""Where receipts lie in a bucket: a folder for each address of a ledger, as its workers name that address."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from bide.bulk.objects import folders
from bide.errors import InvalidRequestError
from bide.ledger.identity import KEEP_SECONDS, KnownLedger, LedgerState
from bide.ledger.identity import PREFIX as LEDGERS
from bide.receipts import PREFIX
from bide.storage import Storage

#: How long after the last look of a worker a ledger may still be in use [seconds]: the bucket learns of looks later.
LIVING_SECONDS = 2 * KEEP_SECONDS


def place_of(storage: Storage, given: str) -> str:
    """The folder that is meant, by its name with or without `bide-receipts/`.

    Raises `InvalidRequestError` where it holds no receipts, which names those that do; and `StorageError`.
    """
    wanted, there = f"{PREFIX}{given.removeprefix(PREFIX).strip('/')}/", folders(storage, PREFIX)
    if wanted not in there:
        raise InvalidRequestError(
            f"--from: there are no receipts at {given}; there are at: {', '.join(there) or 'none'}"
        )
    return wanted


def other_places(storage: Storage, ours: str) -> Iterator[str]:
    """The folders of other addresses, with what is known of their ledgers; none where ours has receipts.

    Raises `StorageError`.
    """
    if folders(storage, ours):  # by day; an object beside them is none
        return
    for each in folders(storage, PREFIX):
        if each != ours:
            yield f"{each}{_of_ledger(known_at(storage, each))}"


def known_at(storage: Storage, place: str) -> KnownLedger:
    """What the bucket knows of the ledger whose receipts lie there."""
    return KnownLedger.at(storage, f"{LEDGERS}{place.removeprefix(PREFIX).strip('/')}.json")


def check_left(storage: Storage, place: str, *, ours: str, now: float) -> None:
    """Raise `InvalidRequestError` where workers still look at the ledger whose receipts lie there: it has not moved.

    `ours`: the id of the ledger that would take them up, which may be the same one by another address. `now`: seconds
    since the epoch, by Redis's clock.
    """
    state = _state_of(known_at(storage, place))
    if state.id in ("", ours) or now - state.looked_at >= LIVING_SECONDS:
        return
    raise InvalidRequestError(
        f"--from: nothing is taken up from {place}: a worker of another deployment has looked at its ledger "
        f"({state.id}) {max(now - state.looked_at, 0):.0f} s ago. Name the folder of this deployment. Where it is "
        f"this one, stop the workers that still go to the old address, and run this again {LIVING_SECONDS:.0f} s later"
    )


def deployment_at(place: str) -> str:
    """The deployment whose receipts lie there, as statements name it (`bide.ledger.identity.deployment_of`)."""
    return place.removeprefix(PREFIX)[:16]


def _of_ledger(known: KnownLedger) -> str:
    state = _state_of(known)
    if not state.id:
        return ""
    looked_at = f", last looked at {datetime.fromtimestamp(state.looked_at, UTC):%Y-%m-%d %H:%M} UTC"
    return f" (of the ledger {state.id}{looked_at if state.looked_at else ''})"


def _state_of(known: KnownLedger) -> LedgerState:
    """What the bucket knows of a ledger; of none where its object can't be read."""
    try:
        return known.read()
    except ValueError:
        return LedgerState()
