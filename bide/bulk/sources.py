"""Where the rows of a run come from: a local file, standard input, or object storage."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from bide.errors import InvalidRequestError
from bide.storage import Storage, parse_uri
from bide.storage_errors import boto_errors, storage_error

#: The largest template [bytes].
MAX_TEMPLATE_BYTES = 1024 * 1024

#: Up to here a file out of object storage is kept in memory [bytes].
IN_MEMORY_BYTES = 8 * 1024 * 1024


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
        return Path(path).open("rb")
    except OSError as error:
        raise InvalidRequestError(f"{path}: can't be read: {error.strerror}") from None


@contextmanager
def _fetched(uri: str, storage: Storage) -> Iterator[IO[bytes]]:
    """The whole object, on disk where it is large: reading its rows takes longer than a store keeps a connection."""
    bucket, key = parse_uri(uri)
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as file:
        try:
            with closing(storage.client.get_object(Bucket=bucket, Key=key)["Body"]) as body:
                shutil.copyfileobj(body, file)
        except boto_errors() as error:
            raise storage_error(error, bucket=bucket, key=key) from error
        file.seek(0)
        yield file
