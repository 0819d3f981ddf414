"""Whose objects lie in a bucket that deployments share: each job's objects name the ledger that had the job."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bide.bulk.objects import keys
from bide.ledger.identity import MAX_BYTES, PREFIX, ids_in
from bide.storage import Storage


@dataclass(frozen=True)
class Owners:
    """The ledgers that a bucket knows, as one deployment sees them."""

    #: The ids that its own ledger has and had.
    ours: frozenset[str]
    #: The objects that name ledgers of other deployments, one for each address.
    others: tuple[str, ...] = ()

    def owns(self, ledger_id: str) -> bool:
        """Whether an object is its own that names this ledger.

        One that names none is of an earlier release: it is its own where the bucket knows no other ledger.
        """
        return ledger_id in self.ours if ledger_id else not self.others


@dataclass(frozen=True)
class Elsewhere:
    """A ledger that the bucket knows at another address, while the object of its address names another ledger."""

    #: The object that names it, and that of its address.
    key: str
    here: str
    #: The ids that it has and had, as that object names them.
    ids: tuple[str, ...]
    #: Whether another deployment has its address; else the object of its address names what it was before.
    foreign: bool

    @property
    def why(self) -> str:
        """What is wrong, and what to do."""
        if not self.foreign:
            return (
                f"this ledger is known as {self.key}, and here ({self.here}) as what it was before: "
                "`bide ledger confirm` corrects that"
            )
        return (
            f"this ledger is known as {self.key}; another deployment has this address ({self.here}): use the workers' "
            f"BIDE_LEDGER_URL; where no deployment has this address any more, remove the object {self.here}"
        )


def owners(storage: Storage, ledger_ids: Iterable[str]) -> Owners:
    """The ledgers that the bucket knows; those that ever had one of `ledger_ids` are the deployment's own.

    The address of a ledger plays no part: hosts may reach one server under several names. Raises `StorageError`.
    """
    ours, found = set(filter(None, ledger_ids)), {key: {*ids} for key, ids in known_ledgers(storage).items()}
    own = {key for key, ids in found.items() if ids & ours}
    for key in own:
        ours |= found[key]
    return Owners(frozenset(ours), tuple(key for key in found if key not in own))


def known_ledgers(storage: Storage) -> dict[str, tuple[str, ...]]:
    """The ids of each ledger that the bucket knows, the present one first, by the key of its object.

    An object that can't be read has none: it is nobody's. Raises `StorageError`.
    """
    return {key: _ids_at(storage, key) for key in keys(storage, PREFIX)}


def known_elsewhere(found: Mapping[str, tuple[str, ...]], here: str, ledger_id: str) -> Elsewhere | None:
    """How a ledger is known at another address, by `known_ledgers`.

    None where it is not, and where the object `here` of its address names this ledger, or none at all.
    """
    own = found.get(here, ())
    if not own or own[0] == ledger_id:
        return None
    named = [(key, ids) for key, ids in found.items() if ledger_id in ids]
    for key, ids in sorted(named, key=lambda each: each[1][0] != ledger_id):
        foreign = set(own).isdisjoint(ids)
        if foreign or ids[0] == ledger_id:
            return Elsewhere(key, here, ids, foreign=foreign)
    return None


def _ids_at(storage: Storage, key: str) -> tuple[str, ...]:
    try:
        document = json.loads(storage.get(storage.uri(key), max_bytes=MAX_BYTES))
    except ValueError:
        return ()
    return ids_in(document) if isinstance(document, dict) else ()
