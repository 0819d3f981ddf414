"""Receipts: where they are turned on, nothing is bought before the bucket has taken one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from bide import lifecycle
from bide.cli.recover import OTHER_PLACES
from bide.errors import StorageError
from bide.receipt_places import other_places
from bide.receipts import needed_days
from bide.settings.model import Settings
from bide.storage import Storage
from workers.doctor.findings import Finding, ok, problem, warning

#: The object of the test, and its content.
NAME, CONTENT = "doctor", b"a probe of bide doctor; it may be deleted"


def check_receipts(settings: Settings, storage: Storage, folder: Callable[[], str]) -> Iterator[Finding]:
    """Write an object where the receipts lie, as fast as a submit wants it."""
    if settings.ledger.receipts == "off":
        return
    key, began = folder() + NAME, time.monotonic()
    try:
        version = storage.put(key, CONTENT, content_type="text/plain")
    except StorageError as error:
        remedy = f"let the access keys put objects below {folder()}, or set BIDE_LEDGER__RECEIPTS=off"
        yield problem("receipts", f"nothing is submitted: no receipt can be written: {error}", remedy)
        return
    seconds = time.monotonic() - began
    with suppress(StorageError):  # the right to delete is not needed
        storage.remove(key, version)
    words = f"the bucket took one in {1000 * seconds:.0f} ms"
    if seconds > settings.ledger.receipts_seconds / 2:
        remedy = "look at the store and at the way to it, or raise BIDE_LEDGER__RECEIPTS_SECONDS"
        yield warning("receipts", f"{words}, more than half of the time that it has", remedy)
        return
    yield ok("receipts", f"{words}: nothing is bought before it has")
    if others := list(other_places(storage, folder())):
        yield warning(
            "receipts", f"there are none of this address, and some of others: {'; '.join(others)}", OTHER_PLACES
        )


def check_receipts_rule(settings: Settings, storage: Storage) -> Iterator[Finding]:
    """Whether a rule of the bucket removes old receipts, and none that is needed."""
    if settings.ledger.receipts == "off":
        return
    try:
        found = lifecycle.read(storage, (), receipts_days=needed_days(settings.timing.retention_days))
    except StorageError as error:
        remedy = "give the access keys s3:GetLifecycleConfiguration, or look at `bide storage lifecycle` with others"
        yield warning("receipts' rule", f"the bucket's lifecycle rules can't be read: {error}", remedy)
        return
    if found.receipts:
        remedy = "run `bide storage lifecycle --apply`, which leaves the rules of others as they are"
        yield warning("receipts' rule", found.receipts, remedy)
    else:
        yield ok("receipts' rule", "the bucket removes receipts, and none that is needed")
