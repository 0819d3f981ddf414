"""Whose jobs and runs are of which the ledger knows nothing: a bucket may be shared, and a ledger may be lost."""

from __future__ import annotations

import json
from functools import cached_property

import redis

from bide import receipts
from bide.deployments import Elsewhere, Owners, known_elsewhere, known_ledgers, owners
from bide.errors import ConfigurationError
from bide.ledger.identity import MAX_BYTES, REMEDY, KnownLedger, LedgerState, mismatch, read_state
from bide.storage import Storage


class Ownership:
    """What a bucket says of the ledger at `server`, read once. All methods raise `StorageError`.

    `known`: what the bucket knows of the ledger's address; None where the address is not known.
    """

    def __init__(self, storage: Storage, server: redis.Redis, known: KnownLedger | None = None) -> None:
        self._storage, self._server, self._known = storage, server, known

    def check(self) -> None:
        """Raise `ConfigurationError` where a job may stand in a ledger that was lost: nothing counts as gone then."""
        if self._elsewhere and self._elsewhere.foreign:
            raise ConfigurationError(f"nothing is erased: {self._elsewhere.why}")
        here, others = self._state, self._owners.others
        stands = [state for key in self._judges if (state := self._state_at(key)).id]
        wrong = [why for known in stands if (why := mismatch(here, known))]
        if wrong and len(wrong) == len(stands):
            raise ConfigurationError(f"nothing is erased: {wrong[0]}; {REMEDY}")
        if not stands and others:
            raise ConfigurationError(
                f"nothing is erased: the bucket knows ledgers ({', '.join(others[:3])}), and not this one, so that it "
                "is unknown whose its objects are; check BIDE_LEDGER_URL and BIDE_S3__BUCKET; a new ledger is "
                f"known as soon as its first worker runs; where it was lost, {REMEDY}"
            )

    @property
    def shared(self) -> bool:
        """Whether the bucket knows ledgers of other deployments."""
        return bool(self._owners.others)

    def why_not(self, ledger_id: str) -> str:
        """Why what names this ledger is not known to be the deployment's own, '' where it is."""
        if self._owners.owns(ledger_id):
            return ""
        if ledger_id:
            return (
                f"ledger {ledger_id} had it: erase it by a command that goes to that ledger; "
                "where that deployment is gone for good, remove the objects by hand"
            )
        return (
            f"it names no ledger, being of an earlier release, and {', '.join(self._owners.others[:3])} may have it: "
            "where the deployment of such an object is gone for good, remove that object and erase again; "
            "else remove the job's objects by hand"
        )

    def owns_receipts_at(self, key: str) -> bool | None:
        """Whether an object of receipts lies in a folder of the deployment's own; None: it is not known whose it is."""
        if any(key.startswith(receipts.folder(each)) for each in self._own_keys):
            return True
        if any(key.startswith(receipts.folder(each)) for each in self._owners.others):
            return False
        return None if self.shared else True

    @cached_property
    def _state(self) -> LedgerState:
        return read_state(self._server)

    @cached_property
    def _owners(self) -> Owners:
        foreign = self._elsewhere is not None and self._elsewhere.foreign
        known = self._known.ids() if self._known and not foreign else ()
        return owners(self._storage, [self._state.id, *known])

    @cached_property
    def _found(self) -> dict[str, tuple[str, ...]]:
        return known_ledgers(self._storage)

    @property
    def _at_address(self) -> str:
        return self._known.key if self._known else ""

    @cached_property
    def _elsewhere(self) -> Elsewhere | None:
        return known_elsewhere(self._found, self._at_address, self._state.id)

    @cached_property
    def _own_keys(self) -> list[str]:
        """The objects that name the deployment's own ledger: one for each address by which it was reached."""
        return [key for key in self._found if key not in self._owners.others]

    @property
    def _judges(self) -> list[str]:
        """Those of which one must agree with the ledger; that of its address alone, where there is one.

        One whose ledger became another one's earlier life never judges: it would let an old backup pass.
        """
        earlier = {each for key in self._own_keys for each in self._found[key][1:]}
        valid = [key for key in self._own_keys if not earlier & {*self._found[key][:1]}]
        return [self._at_address] if self._at_address in valid else valid

    def _state_at(self, key: str) -> LedgerState:
        try:
            found = json.loads(self._storage.get(self._storage.uri(key), max_bytes=MAX_BYTES))
            return LedgerState(str(found.get("id", "")), float(found.get("looked_at", 0)))
        except (ValueError, TypeError, AttributeError):
            return LedgerState()
