"""Object storage for bulk runs, beyond puts and gets: lists, lines, parts of objects, and removals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from bide.errors import StorageError
from bide.storage import Storage, parse_uri
from bide.storage_errors import as_storage_error

#: The longest line of a file of results [bytes]: a request, its outputs and a failure are far below.
MAX_LINE_BYTES = 4 * 1024 * 1024


def keys(storage: Storage, prefix: str) -> list[str]:
    """The keys that begin with `prefix`, in order."""
    pages = storage.client.get_paginator("list_objects_v2").paginate(Bucket=storage.options.bucket, Prefix=prefix)
    with as_storage_error(storage.options.bucket, prefix):
        return sorted(entry["Key"] for page in pages for entry in page.get("Contents", ()))


def folders(storage: Storage, prefix: str) -> list[str]:
    """What keys begin with up to the next slash behind `prefix`, in order."""
    pages = storage.client.get_paginator("list_objects_v2").paginate(
        Bucket=storage.options.bucket, Prefix=prefix, Delimiter="/"
    )
    with as_storage_error(storage.options.bucket, prefix):
        return sorted(entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", ()))


def lines(storage: Storage, key: str, *, version: str = "") -> Iterator[bytes]:
    """The lines of an object that are not empty, or of one of its versions; they are read as the caller takes them."""
    named: dict[str, Any] = {"VersionId": version} if version else {}
    with as_storage_error(storage.options.bucket, key):
        found = storage.client.get_object(Bucket=storage.options.bucket, Key=key, **named)
        with closing(found["Body"]) as body:
            begun = b""
            for block in body.iter_chunks(256 * 1024):
                *whole, begun = (begun + block).split(b"\n")
                yield from filter(bytes.strip, whole)
                if len(begun) > MAX_LINE_BYTES:
                    raise StorageError(f"{storage.uri(key)} has a line of over {MAX_LINE_BYTES} bytes", permanent=True)
    if begun.strip():
        yield begun


def part(storage: Storage, uri: str, *, first: int, count: int) -> bytes:
    """Up to `count` bytes of an object, from the byte `first` on."""
    try:
        return _range(storage, uri, f"bytes={first}-{first + count - 1}", count)
    except StorageError as error:
        if not error.permanent:
            raise
    return _range(storage, uri, f"bytes={first}-", count)  # nanio refuses a range that ends behind the object


def _range(storage: Storage, uri: str, wanted: str, count: int) -> bytes:
    bucket, key = parse_uri(uri)
    with as_storage_error(bucket, key):
        found = storage.client.get_object(Bucket=bucket, Key=key, Range=wanted)
        with closing(found["Body"]) as body:
            return body.read(count)


def metadata(storage: Storage, key: str) -> dict[str, str]:
    """The metadata of an object; empty where there is no such object."""
    try:
        with as_storage_error(storage.options.bucket, key):
            return storage.client.head_object(Bucket=storage.options.bucket, Key=key)["Metadata"]
    except StorageError as error:
        if not error.permanent:
            raise
        return {}


def remove(storage: Storage, key: str) -> None:
    """Delete an object; a missing one is no error."""
    with as_storage_error(storage.options.bucket, key):
        storage.client.delete_object(Bucket=storage.options.bucket, Key=key)
