"""The packing of a finished record: one script gives what is to be packed, another puts the packed text there."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from bide.errors import LedgerAwayError
from bide.ledger import scripts
from bide.ledger.executor import Executor
from bide.ledger.packed import pack, part_bytes
from bide.ledger.records import AccountName
from bide.ledger.replies import pairs

#: The most records that are packed in one round trip: Redis does nothing else meanwhile, some 0.05 ms for each.
MOST_AT_ONCE = 100


class Packer:
    """Packs finished records; threads may share it.

    A record that Redis can't take now stays as it is, until it expires: it is larger, and no less true. So does one
    that has changed since it was found.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._waiting: deque[tuple[AccountName, str, Sequence[str]]] = deque()
        #: Whether records wait for `flush`; else each is packed at once.
        self.waits = False

    def pack(self, account: AccountName, job_id: str, found: Sequence[str]) -> None:
        """Pack a record; `found` is what a script found to pack, empty where the record stays as it is."""
        if found:
            self._waiting.append((account, job_id, found))
            if not self.waits:
                self.flush()

    def flush(self) -> None:
        """Pack all records that wait."""
        while batch := self._batch():
            made = [(account, _script(account, job_id, found)) for account, job_id, found in batch]
            with suppress(LedgerAwayError):
                for reply in self._executor.run_many((account, script) for account, script in made if script):
                    if isinstance(reply, Exception):
                        raise reply

    def _batch(self) -> list[tuple[AccountName, str, Sequence[str]]]:
        """The records that have waited longest; no other thread has them."""
        batch: list[tuple[AccountName, str, Sequence[str]]] = []
        with suppress(IndexError):  # several threads may take them at once
            while len(batch) < MOST_AT_ONCE:
                batch.append(self._waiting.popleft())
        return batch


def _script(account: AccountName, job_id: str, found: Sequence[str]) -> scripts.job.Pack | None:
    provider_job_id, *rest = found
    fields = pairs(rest)
    packed = pack(job_id, account, provider_job_id, fields)
    return scripts.job.Pack(id=job_id, packed=packed, part_bytes=part_bytes(packed), fields=fields) if packed else None
