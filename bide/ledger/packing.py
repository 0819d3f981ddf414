"""The packing of a finished record: one script gives what is to be packed, another puts the packed text there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from bide.errors import LedgerAwayError
from bide.ledger import scripts
from bide.ledger.executor import Executor
from bide.ledger.packed import pack, part_bytes
from bide.ledger.records import AccountName
from bide.ledger.replies import pairs


def pack_record(executor: Executor, account: AccountName, job_id: str, found: Sequence[str]) -> None:
    """Pack a finished record; `found` is what a script found to pack, empty where the record stays as it is.

    A record that Redis can't take now stays as it is, until it expires: it is larger, and no less true.
    """
    if not found:
        return
    provider_job_id, *rest = found
    fields = pairs(rest)
    if packed := pack(job_id, account, provider_job_id, fields):
        with suppress(LedgerAwayError):
            executor.run(
                account, scripts.job.Pack(id=job_id, packed=packed, part_bytes=part_bytes(packed), fields=fields)
            )
