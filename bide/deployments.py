"""Whose objects lie in a bucket that deployments share: each job's objects name the ledger that had the job."""

from __future__ import annotations

import json
from collections.abc import Iterable
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


def owners(storage: Storage, ledger_ids: Iterable[str]) -> Owners:
    """The ledgers that the bucket knows; those that ever had one of `ledger_ids` are the deployment's own.

    The address of a ledger plays no part: hosts may reach one server under several names. Raises `StorageError`.
    """
    ours, found = set(filter(None, ledger_ids)), {}
    for key in keys(storage, PREFIX):
        found[key] = _ids_at(storage, key)
    own = {key for key, ids in found.items() if ids & ours}
    for key in own:
        ours |= found[key]
    return Owners(frozenset(ours), tuple(key for key in found if key not in own))


def _ids_at(storage: Storage, key: str) -> frozenset[str]:
    """The ids in such an object; none of one that can't be read, which is nobody's."""
    try:
        document = json.loads(storage.get(storage.uri(key), max_bytes=MAX_BYTES))
    except ValueError:
        return frozenset()
    return frozenset(ids_in(document)) if isinstance(document, dict) else frozenset()
