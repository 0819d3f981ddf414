"""The sources of a run's rows: a local file, standard input, or object storage."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Container, Iterator
from contextlib import closing, contextmanager
from typing import IO

from bide.errors import InvalidRequestError
from bide.storage import Storage, parse_uri
from bide.storage_errors import boto_errors, storage_error

#: The largest template [bytes].
MAX_TEMPLATE_BYTES = 1024 * 1024

#: The size up to which a file out of object storage is kept in memory [bytes].
IN_MEMORY_BYTES = 8 * 1024 * 1024

#: The longest source or template that a message may name [characters].
MAX_SOURCE_CHARACTERS = 4096

#: Opening a device or a pipe does not wait, and a terminal does not become that of the process.
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


def check_sent(source: str, *, what: str, buckets: Container[str]) -> None:
    """Raise `InvalidRequestError` unless a source is an object in one of these buckets: a message may name no other."""
    if not source.startswith("s3://"):
        raise InvalidRequestError(
            f"{what}: can't be read for a message, which may name s3://bucket/key only; local files are for "
            "`bide bulk run`, and for a schedule that stands in config/schedules.toml of this worker with this very "
            "source and these options"
        )
    bucket, key = parse_uri(source)
    if bucket not in buckets:
        raise InvalidRequestError(f"{what}: messages may not name its bucket; add it to BIDE_BULK__SOURCE_BUCKETS")
    if {".", ".."} & set(key.split("/")):
        raise InvalidRequestError(f"{what}: . or .. between slashes may lead to another bucket; rename the object")


@contextmanager
def opened(source: str, storage: Storage | None) -> Iterator[IO[bytes]]:
    """A path, `-` or `s3://bucket/key`, open for reading; raises `InvalidRequestError` and `StorageError`."""
    if source == "-":
        yield sys.stdin.buffer
    elif source.startswith("s3://"):
        if storage is None:
            raise InvalidRequestError(f"{source}: no object store is known; set BIDE_S3__BUCKET")
        with _fetched(source, storage) as file:
            yield file
    else:
        with _local(source) as file:
            yield file


def template_text(source: str, storage: Storage | None) -> bytes:
    """A whole template; raises `InvalidRequestError` and `StorageError`."""
    with opened(source, storage) as file:
        content = file.read(MAX_TEMPLATE_BYTES + 1)
    if len(content) > MAX_TEMPLATE_BYTES:
        raise InvalidRequestError(f"{source}: is over the limit of {MAX_TEMPLATE_BYTES} bytes for a template")
    return content


def _local(path: str) -> IO[bytes]:
    try:
        return open(path, "rb", opener=_open_regular)
    except OSError as error:
        raise InvalidRequestError(f"{path}: can't be read: {error.strerror}") from None
    except ValueError:
        raise InvalidRequestError("source: is no path, it holds a character that none can have") from None


def _open_regular(path: str, flags: int) -> int:
    """A descriptor of a regular file. The opened file itself is examined, since a path may change its meaning."""
    descriptor = os.open(path, flags | _AT_ONCE)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise InvalidRequestError(f"{path}: is not a regular file; pass - and pipe the rows in")


@contextmanager
def _fetched(uri: str, storage: Storage) -> Iterator[IO[bytes]]:
    """The whole object, on disk where it is large: its rows are read for longer than a store keeps a connection."""
    bucket, key = parse_uri(uri)
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as file:
        try:
            with closing(storage.client.get_object(Bucket=bucket, Key=key)["Body"]) as body:
                shutil.copyfileobj(body, file)
        except boto_errors() as error:
            raise storage_error(error, bucket=bucket, key=key) from error
        file.seek(0)
        yield file
