"""Puts of objects that are to go after some days: with their tag, or without it where the store refuses tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO

from bide.errors import StorageError
from bide.retention import tags_of
from bide.storage import Storage


def put_tagged(
    storage: Storage,
    key: str,
    content: bytes | IO[bytes],
    *,
    days: int | None,
    content_type: str,
    sha256: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> bool:
    """Store an object of a paid job with its tag, or without where the store refuses that; returns whether it has it.

    Raises `StorageError` where the store takes it neither way.
    """
    how = {"content_type": content_type, "sha256": sha256, "metadata": metadata}
    if days is None:
        storage.put(key, content, **how)  # type: ignore[arg-type]  # each value has the type of its name
        return True
    try:
        storage.put(key, content, tags=tags_of(days), **how)  # type: ignore[arg-type]  # as above
    except StorageError as error:
        if not error.permanent:
            raise
        storage.put(key, content, **how)  # type: ignore[arg-type]  # as above
        return False
    return True
