"""Tries object stores with each digest that may go with objects, and prints a table of what they take.

    python -m bench.object_stores BUCKET NAME=URL ...

The access keys are those that boto3 finds; the bucket is made where it is missing. docs/stores.md has the results.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from bide.errors import ConfigurationError, StorageError
from bide.storage import PART_BYTES, Storage, StorageOptions
from bide.storage_digests import CHECKSUMS, Checksum
from workers.doctor.findings import Level
from workers.doctor.stores import check_store
from workers.io.store_probe import probe

#: A file of three parts.
LARGE = bytes(range(256)) * (2 * PART_BYTES // 256) + b"the end"

KEY = "bide-probe/bench"


def main(arguments: Sequence[str]) -> None:
    """Print a line for each store."""
    bucket, *stores = arguments
    print("| store |", " | ".join(f"`{each}`" for each in CHECKSUMS), "| refuses damaged objects with |")
    print("| --- |" + " --- |" * (len(CHECKSUMS) + 1))
    for store in stores:
        name, _, url = store.partition("=")
        options = StorageOptions(bucket, endpoint_url=url, region="us-east-1", max_attempts=1)
        print("|", " | ".join([name, *_tried(options)]), "|", flush=True)


def _tried(options: StorageOptions) -> Iterator[str]:
    _make_bucket(Storage(options))
    took = {each: _take(options, each) for each in CHECKSUMS}
    yield from took.values()
    checked = [each for each, answer in took.items() if answer == "yes" and _checks(_with(options, each))]
    yield ", ".join(f"`{each}`" for each in checked) or "none"


def _with(options: StorageOptions, checksum: Checksum) -> Storage:
    return Storage(StorageOptions(**{**vars(options), "checksum": checksum}))


def _take(options: StorageOptions, checksum: Checksum) -> str:
    """'yes', or what the store refuses."""
    storage = _with(options, checksum)
    if failure := probe(storage, KEY):
        return failure.answer
    try:
        version = storage.put(KEY, LARGE, content_type="video/mp4")
        whole = storage.get(storage.uri(KEY), max_bytes=len(LARGE)) == LARGE
        storage.remove(KEY, version)
    except StorageError as error:
        return f"large files: {error}"
    return "yes" if whole else "large files come back changed"


def _checks(storage: Storage) -> bool:
    """Whether an object that is changed on its way is refused."""
    return next(found for found in check_store(storage) if found.check == "store checksums").level is Level.OK


def _make_bucket(storage: Storage) -> None:
    try:
        storage.check()
    except ConfigurationError:
        storage.client.create_bucket(Bucket=storage.options.bucket)


if __name__ == "__main__":
    main(sys.argv[1:])
