"""The sources of a run's rows: a local file, standard input, or object storage."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Callable, Container, Iterator
from contextlib import closing, contextmanager
from typing import IO

from bide.errors import InvalidRequestError
from bide.storage import Storage, parse_uri
from bide.storage_errors import boto_errors, storage_error

#: The largest template [bytes].
MAX_TEMPLATE_BYTES = 1024 * 1024

#: The largest source out of object storage, which is copied to the temporary disk [bytes]: a million rows of 16 KiB. A
#: larger object would fill the disk that a worker's downloads need.
MAX_SOURCE_BYTES = 16 * 1024**3

#: The part of an object that is copied at once [bytes].
_CHUNK_BYTES = 1024 * 1024

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
def opened(source: str, storage: Storage | None, *, max_bytes: int = MAX_SOURCE_BYTES) -> Iterator[IO[bytes]]:
    """A path, `-` or `s3://bucket/key`, open for reading; raises `InvalidRequestError` and `StorageError`.

    `max_bytes` bounds an object, which is copied first. A local file is read where it lies.
    """
    if source == "-":
        yield sys.stdin.buffer
    elif source.startswith("s3://"):
        if storage is None:
            raise InvalidRequestError(f"{source}: no object store is known; set BIDE_S3__BUCKET")
        with _fetched(source, storage, max_bytes) as file:
            yield file
    else:
        with _local(source) as file:
            yield file


def template_text(source: str, storage: Storage | None) -> bytes:
    """A whole template; raises `InvalidRequestError` and `StorageError`."""
    with opened(source, storage, max_bytes=MAX_TEMPLATE_BYTES) as file:
        content = file.read(MAX_TEMPLATE_BYTES + 1)
    if len(content) > MAX_TEMPLATE_BYTES:
        raise _too_large(source, MAX_TEMPLATE_BYTES)
    return content


def _too_large(source: str, max_bytes: int) -> InvalidRequestError:
    what = "template" if max_bytes == MAX_TEMPLATE_BYTES else "source"
    return InvalidRequestError(f"{source}: is over the limit of {max_bytes} bytes for a {what}")


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
def _fetched(uri: str, storage: Storage, max_bytes: int) -> Iterator[IO[bytes]]:
    """The whole object, on disk where it is large: its rows are read for longer than a store keeps a connection."""
    bucket, key = parse_uri(uri)
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as file:
        try:
            found = storage.client.get_object(Bucket=bucket, Key=key)
            with closing(found["Body"]) as body:
                if found["ContentLength"] > max_bytes or not _copied(body.read, file, max_bytes):
                    raise _too_large(uri, max_bytes)
        except boto_errors() as error:
            raise storage_error(error, bucket=bucket, key=key) from error
        file.seek(0)
        yield file


def _copied(read: Callable[[int], bytes], file: IO[bytes], max_bytes: int) -> bool:
    """Copy what is read of an object; False where that exceeds the limit, whatever size its store declared."""
    size = 0
    while chunk := read(_CHUNK_BYTES):
        size += len(chunk)
        if size > max_bytes:
            return False
        file.write(chunk)
    return True
