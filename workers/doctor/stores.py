"""Object storage: whether results can be stored, whole and checked; a probe is written, read and removed again."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from bide import lifecycle
from bide.errors import BideError, StorageError
from bide.lifecycle import takes_tags
from bide.settings.retention import RetentionSettings
from bide.storage import Storage
from bide.storage_digests import CHECKSUMS, Checksum
from workers.doctor.findings import Finding, ok, problem, warning
from workers.io.store_probe import ProbeFailure, probe

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest

#: Where the probes go, and what is in them; `DAMAGED` has the same length.
PREFIX, CONTENT = "bide-doctor/", b"a probe of bide doctor; it may be deleted"
DAMAGED = CONTENT.swapcase()

#: Signatures of requests are refused when clocks are a quarter of an hour apart; warned of long before [seconds].
SKEW_SECONDS = 60.0

_RIGHTS = "give the access keys s3:PutObject, s3:GetObject and s3:AbortMultipartUpload on this bucket"


def check_store(storage: Storage) -> Iterator[Finding]:
    """The bucket, uploads of each kind with the digest that the settings name, damage, and the store's clock."""
    bucket, key = storage.options.bucket, f"{PREFIX}{uuid.uuid4()}"
    try:
        storage.check()
    except BideError as error:
        yield problem("object store", str(error), "correct BIDE_S3__... or the access keys, or create the bucket")
        return
    yield ok("object store", f"the bucket {bucket} is there")
    failure = probe(storage, key)
    if failure is not None:
        yield from _refused(storage, key, failure)
        return
    yield ok("store rights", "an object was put and read back")
    yield ok("large objects", "an upload in parts was completed and read back")
    yield _check_damage(storage, key)
    yield from _check_removed(storage, key)
    yield from _check_clock(storage)


def check_retention(storage: Storage, retention: RetentionSettings) -> Iterator[Finding]:
    """Whether objects go after the days that the deployment asks for; without such a setting nothing is looked at."""
    if not retention.asked_for:
        return
    if trouble := takes_tags(storage, f"{PREFIX}{uuid.uuid4()}"):
        remedy = "take a store that knows tags, or let `bide erase --before` run by the clock; see docs/stores.md"
        yield warning("retention", f"the store keeps no tags, so that no rule removes objects: {trouble}", remedy)
        return
    try:
        found = lifecycle.read(storage, retention.resolved.all_days)
    except BideError as error:
        remedy = "give the access keys s3:GetLifecycleConfiguration, or look at `bide storage lifecycle` with others"
        yield warning("retention", f"the bucket's lifecycle rules can't be read: {error}", remedy)
        return
    if found.in_place:
        yield ok("retention", "each number of days that may be asked for has its lifecycle rule")
        return
    days = ", ".join(map(str, (*found.missing, *found.different)))
    yield warning(
        "retention", f"objects stay for ever: no lifecycle rule for days {days}", "run `bide storage lifecycle --apply`"
    )


def _refused(storage: Storage, key: str, failure: ProbeFailure) -> Iterator[Finding]:
    """What the store does not take, and the value of BIDE_S3__CHECKSUM with which it takes more."""
    own = storage.options.checksum
    failures = {each: _with(storage, key, each) for each in CHECKSUMS if each != own}
    better = [each for each, left in failures.items() if left is None]
    if not failure.in_parts:
        better += [each for each, left in failures.items() if left is not None and left.in_parts]
    if better:
        yield problem(
            "checksum setting",
            f"the store refuses objects with BIDE_S3__CHECKSUM={own}: {failure.answer}",
            f"set BIDE_S3__CHECKSUM={better[0]} for all processes, and start them again: the store takes that",
        )
        left_over = failures[better[0]]
        if left_over is None:
            return
        failure = left_over
    if failure.in_parts:
        words = f"no file over 8 MiB is stored: {failure.answer}"
        yield problem("large objects", words, f"{_RIGHTS}, or take a store that knows uploads in parts")
    else:
        between = "look at what stands between here and the store, and at its own log"
        yield problem("store rights", str(failure), _RIGHTS if failure.refused else between)


def _check_damage(storage: Storage, key: str) -> Finding:
    """An object whose bytes change on the way must be refused, by its digest or by the signature of its request."""
    own = storage.options.checksum
    if _refuses_damage(_other(storage, own), key):
        return ok("store checksums", f"an object that was changed on its way is refused (BIDE_S3__CHECKSUM={own})")
    words = f"with BIDE_S3__CHECKSUM={own} the store takes an object that was changed on its way"
    for other in CHECKSUMS:
        if other != own and _with(storage, key, other) is None and _refuses_damage(_other(storage, other), key):
            return warning("store checksums", words, f"set BIDE_S3__CHECKSUM={other}: with that the store refuses it")
    remedy = "take a store, or a version of it, that checks the digests of objects; keep TLS on the way to it"
    return warning("store checksums", f"{words}: damage would go unnoticed", remedy)


def _with(storage: Storage, key: str, checksum: Checksum) -> ProbeFailure | None:
    """What the store does not take with another digest."""
    return probe(_other(storage, checksum), key)


def _other(storage: Storage, checksum: Checksum) -> Storage:
    """With boto3, whose requests can be damaged on their way out."""
    return Storage(replace(storage.options, checksum=checksum, puts="boto3"))


def _refuses_damage(storage: Storage, key: str) -> bool:
    try:
        with _damaging(storage):
            version = storage.put(key, CONTENT, content_type="text/plain")
    except StorageError:
        return True
    with suppress(StorageError):
        storage.remove(key, version)
    return False


@contextmanager
def _damaging(storage: Storage) -> Iterator[None]:
    """Puts of the block arrive with other bytes than those that were digested and signed."""

    def damage(request: AWSPreparedRequest, **_: object) -> None:
        request.body = DAMAGED

    events = storage.client.meta.events
    events.register("before-send.s3.PutObject", damage)
    try:
        yield
    finally:
        events.unregister("before-send.s3.PutObject", damage)


def _check_removed(storage: Storage, key: str) -> Iterator[Finding]:
    with suppress(StorageError):
        if storage.exists(key):
            yield ok("probe", f"{key} stays, since it may not be deleted; bide needs no right to delete")


def _check_clock(storage: Storage) -> Iterator[Finding]:
    answer = storage.client.head_bucket(Bucket=storage.options.bucket)
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if not date:
        return
    skew = parsedate_to_datetime(date).timestamp() - time.time()
    if abs(skew) < SKEW_SECONDS:
        yield ok("clock of the store", f"within {SKEW_SECONDS:g} s of this host's")
    else:
        words = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this host's: signatures will be refused"
        yield problem("clock of the store", words, "let both hosts keep time by NTP")
