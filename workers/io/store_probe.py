"""A test of the object store: a small object goes up in each way that results do, comes back, and is removed."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bide.errors import BideError, ConfigurationError, StorageError
from bide.storage import Storage
from bide.storage_errors import error_code, http_status, unreached

#: The ways in which results go up, and whether that is in parts.
WAYS = {"an object in one piece": False, "an upload in parts": True}

#: Pauses before an object is read again that is not there yet [seconds]: a store may have copies that lag behind.
READ_AGAIN_SECONDS = (0.3, 0.7)


@dataclass(frozen=True)
class ProbeFailure:
    """What a store did not do: `way` is one of `WAYS`."""

    way: str
    error: BideError

    def __str__(self) -> str:
        return f"{self.way}: {self.error}"

    @property
    def in_parts(self) -> bool:
        """Whether an object in one piece went well."""
        return WAYS[self.way]

    @property
    def refused(self) -> bool:
        """Whether the store has answered with a refusal, so that another attempt does not help."""
        return self.error.__cause__ is not None and getattr(self.error, "permanent", True)

    @property
    def answer(self) -> str:
        """The store's answer in short, with the way that the object went."""
        cause: Any = self.error.__cause__
        code = error_code(cause, about_bucket=False) if cause is not None else None
        return f"{self.way}: {code}, HTTP {http_status(cause)}" if code else str(self)


def probe(storage: Storage, key: str) -> ProbeFailure | None:
    """Test the store with the object `key`; None where it took, gave back and removed it in each way.

    An object that the access keys may not remove stays, which is no failure.
    """
    for way, in_parts in WAYS.items():
        try:
            _try(storage, key, in_parts=in_parts)
        except (StorageError, ConfigurationError) as error:
            return ProbeFailure(way, error)
    return None


def _try(storage: Storage, key: str, *, in_parts: bool) -> None:
    content = f"a probe of bide, {uuid.uuid4()}; it may be deleted".encode()
    version, may_be_there = "", True
    try:
        version = storage.put(key, content, content_type="text/plain", in_parts=in_parts)
        _check_back(storage, key, content)
    except StorageError as error:
        may_be_there = not unreached(error)  # what was refused may lie there all the same
        raise
    finally:
        if may_be_there:
            _remove(storage, key, version)


def _check_back(storage: Storage, key: str, content: bytes) -> None:
    """Raise `StorageError` where the store does not give back what it took."""
    for pause_seconds in (*READ_AGAIN_SECONDS, None):
        if _found(storage, key, len(content)) == content:
            return
        if pause_seconds is not None:
            time.sleep(pause_seconds)
    raise StorageError(f"{storage.uri(key)}: the store took it, and does not give it back whole", permanent=True)


def _found(storage: Storage, key: str, size: int) -> bytes | None:
    """The first bytes of the object, one more than `size` at most; None where there is none."""
    try:
        return storage.get(storage.uri(key), max_bytes=size + 1)
    except StorageError as error:
        if http_status(error.__cause__) == 404:
            return None
        raise


def _remove(storage: Storage, key: str, version: str) -> None:
    with suppress(StorageError):
        storage.remove(key, version)
