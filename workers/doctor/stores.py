"""Object storage: whether results can be stored, whole and checked; a probe is written, read and removed again."""

from __future__ import annotations

import hashlib
import time
import uuid
from base64 import b64encode
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

from bide.errors import BideError
from bide.storage import Storage
from bide.storage_errors import boto_errors, error_code
from workers.doctor.findings import Finding, ok, problem, warning

#: Where the probes go, and what is in them.
PREFIX, CONTENT = "bide-doctor/", b"a probe of bide doctor; it may be deleted"

#: Signatures of requests are refused when clocks are a quarter of an hour apart; warned of long before [seconds].
SKEW_SECONDS = 60.0


def check_store(storage: Storage) -> Iterator[Finding]:
    """The bucket, the rights that results need, checksums, parts of large objects, and the store's clock."""
    bucket, key = storage.options.bucket, f"{PREFIX}{uuid.uuid4()}"
    try:
        storage.check()
    except BideError as error:
        yield problem("object store", str(error), "correct BIDE_S3__... or the access keys, or create the bucket")
        return
    yield ok("object store", f"the bucket {bucket} is there")
    try:
        storage.put(key, CONTENT, content_type="text/plain", metadata={"bide-probe": "doctor"})
        whole = storage.get(storage.uri(key), max_bytes=len(CONTENT)) == CONTENT
    except BideError as error:
        yield problem("store rights", str(error), "give the access keys s3:PutObject and s3:GetObject on this bucket")
        return
    if whole:
        yield ok("store rights", "an object was put and read back")
    else:
        yield problem("store rights", "an object came back changed", "look at what stands between here and the store")
    yield from _check_checksums(storage, key)
    yield from _check_parts(storage, key)
    yield from _check_clock_and_remove(storage, key)


def _check_checksums(storage: Storage, key: str) -> Iterator[Finding]:
    """A put with the digest of other bytes must be refused."""
    wrong = b64encode(hashlib.sha256(b"other bytes").digest()).decode()
    try:
        storage.client.put_object(Bucket=storage.options.bucket, Key=key, Body=CONTENT, ChecksumSHA256=wrong)
    except boto_errors():
        yield ok("store checksums", "an object that does not match its SHA-256 is refused")
    else:
        yield warning(
            "store checksums",
            "the store takes an object that does not match its SHA-256: damage on the way would go unnoticed",
            "take a store, or a version of it, that checks x-amz-checksum-sha256; keep TLS on the way to it",
        )


def _check_parts(storage: Storage, key: str) -> Iterator[Finding]:
    """Videos go up in parts."""
    where: dict[str, Any] = {"Bucket": storage.options.bucket, "Key": key}
    digest = b64encode(hashlib.sha256(CONTENT).digest()).decode()
    try:
        upload = storage.client.create_multipart_upload(**where, ChecksumAlgorithm="SHA256")
        where["UploadId"] = upload["UploadId"]
        storage.client.upload_part(**where, PartNumber=1, Body=CONTENT, ChecksumSHA256=digest)
        storage.client.abort_multipart_upload(**where)
    except boto_errors() as error:
        code = error_code(error, about_bucket=False) or type(error).__name__
        remedy = "give the access keys s3:PutObject and s3:AbortMultipartUpload, or take a store that knows parts"
        yield problem("large objects", f"an upload in parts is refused ({code}): no video over 8 MiB is stored", remedy)
    else:
        yield ok("large objects", "an upload in parts was begun and aborted")


def _check_clock_and_remove(storage: Storage, key: str) -> Iterator[Finding]:
    try:
        answer = storage.client.delete_object(Bucket=storage.options.bucket, Key=key)
    except boto_errors() as error:
        code = error_code(error, about_bucket=False) or type(error).__name__
        yield ok("probe", f"{key} stays, since it may not be deleted ({code}); bide itself deletes nothing")
        return
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if not date:
        return
    skew = parsedate_to_datetime(date).timestamp() - time.time()
    if abs(skew) < SKEW_SECONDS:
        yield ok("clock of the store", f"within {SKEW_SECONDS:g} s of this host's")
    else:
        words = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this host's: signatures will be refused"
        yield problem("clock of the store", words, "let both hosts keep time by NTP")
