"""The objects of jobs in the bucket: found folder by folder, read as far as must be, and removed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from urllib.parse import unquote

from bide.contract import JOB_ID, RESERVED_PREFIXES
from bide.errors import StorageError
from bide.storage import Storage, plain_name
from bide.storage_errors import as_storage_error

#: The key of a job's object: what comes before its date, the date, the job, and the object's own name.
_OBJECT = re.compile(rf"(?P<folder>(?:.+/)?(?P<date>\d{{4}}/\d\d/\d\d)/(?P<job>{JOB_ID.pattern}))/(?P<name>.+)")

#: The object that is written last, and removed last: it says whose objects the others are.
DOCUMENT = "job.json"

#: The largest `job.json` that is read [bytes].
MAX_DOCUMENT_BYTES = 16 * 1024 * 1024

#: Objects that one request removes, set by S3.
AT_ONCE = 1000


@dataclass(frozen=True)
class Folder:
    """The objects of one job."""

    job_id: str
    #: The beginning of their keys, `{prefix/}{yyyy}/{mm}/{dd}/{job_id}/`.
    prefix: str
    #: The day on which the job was opened.
    day: datetime
    keys: tuple[str, ...]


@dataclass
class Removed:
    """What of objects was removed, and what could not be."""

    objects: int = 0
    versions: int = 0
    failed: list[str] = field(default_factory=list)

    def __iadd__(self, other: Removed) -> Removed:
        self.objects += other.objects
        self.versions += other.versions
        self.failed += other.failed
        return self


def folders(storage: Storage, *, versions: bool = False) -> Iterator[Folder]:
    """The folders of all jobs, in the order of their keys; a folder is held at a time. Raises `StorageError`.

    `versions`: also folders of which nothing but old versions is left.
    """
    listed = version_keys(storage, "") if versions else keys(storage, "")
    found = (match for key in listed if not _reserved(key) and (match := _OBJECT.fullmatch(key)))
    for prefix, objects in groupby(found, key=lambda match: match["folder"]):
        some = list(objects)
        try:
            day = datetime.strptime(some[0]["date"], "%Y/%m/%d").replace(tzinfo=UTC)
        except ValueError:  # no date: another program's
            continue
        yield Folder(some[0]["job"], f"{prefix}/", day, tuple(match[0] for match in some))


def keys(storage: Storage, prefix: str) -> Iterator[str]:
    """Keys that begin with `prefix`, as the store lists them, a page at a time; raises `StorageError`."""
    with as_storage_error(storage.options.bucket, prefix):
        for page in storage.client.get_paginator("list_objects_v2").paginate(
            Bucket=storage.options.bucket, Prefix=prefix
        ):
            yield from (entry["Key"] for entry in page.get("Contents", ()))


def version_keys(storage: Storage, prefix: str) -> Iterator[str]:
    """Keys of which the bucket keeps anything, old versions and delete markers included; each may come repeatedly."""
    for page in _version_pages(storage, prefix):
        yield from sorted({each["Key"] for each in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))})


def asked_of(storage: Storage, folder: Folder, names: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Tenant and metadata of a job by its objects: those of `job.json`, else what its objects say of these `names`."""
    document = f"{folder.prefix}{DOCUMENT}"
    named = _headers(storage, document if document in folder.keys else folder.keys[0])
    plain = {name: plain_name(name) for name in (*names, "tenant")}
    metadata: dict[str, Any] = {name: unquote(named[it]) for name, it in plain.items() if it in named}
    if document in folder.keys:
        try:
            found = json.loads(storage.get(storage.uri(document), max_bytes=MAX_DOCUMENT_BYTES))
            metadata = dict(found.get("metadata") or {})
        except (ValueError, AttributeError):  # another program's
            pass
    return unquote(named.get("bide-tenant", "")), metadata


def remove(storage: Storage, found: Sequence[str], *, versions: bool = False) -> Removed:
    """Remove objects, each `job.json` after the others; with `versions` all that the bucket keeps of them, too.

    What is not there counts as removed. Raises `StorageError` where the store does not answer.
    """
    removed = Removed()
    in_order = sorted(found, key=lambda key: key.endswith(f"/{DOCUMENT}"))
    for first in range(0, len(in_order), AT_ONCE):
        some = in_order[first : first + AT_ONCE]
        failed = _remove(storage, [{"Key": key} for key in some])
        removed += Removed(objects=len(some) - len(failed), failed=failed)
    if versions:
        for key in found:
            removed += _remove_versions(storage, key)
    return removed


def has_versions(storage: Storage) -> bool | None:
    """Whether the bucket keeps old versions of objects; None where the store does not say. Raises `StorageError`."""
    try:
        with as_storage_error(storage.options.bucket, ""):
            return bool(storage.client.get_bucket_versioning(Bucket=storage.options.bucket).get("Status"))
    except StorageError as error:
        if not error.permanent:
            raise
        return None


def _remove(storage: Storage, objects: list[dict[str, str]]) -> list[str]:
    """Remove objects in one request, or one by one where the store does not know that; returns what stays, and why."""
    bucket = storage.options.bucket
    try:
        with as_storage_error(bucket, objects[0]["Key"]):
            answer: Any = storage.client.delete_objects(
                Bucket=bucket,
                Delete={"Objects": objects, "Quiet": True},  # type: ignore[typeddict-item]  # plain mappings
            )
        return [f"{each.get('Key')}: {each.get('Code')}" for each in answer.get("Errors", ())]
    except StorageError as error:
        if not error.permanent:
            raise
    failed = []
    for each in objects:
        try:
            storage.remove(each["Key"], each.get("VersionId", ""))
        except StorageError as error:
            if not error.permanent:
                raise
            failed.append(str(error))
    return failed


def _remove_versions(storage: Storage, key: str) -> Removed:
    """Remove all versions and delete markers of one object."""
    removed = Removed()
    for page in _version_pages(storage, key):
        listed = (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
        some = [{"Key": it["Key"], "VersionId": it["VersionId"]} for it in listed if it["Key"] == key]
        failed = _remove(storage, some) if some else []
        removed += Removed(versions=len(some) - len(failed), failed=failed)
    return removed


def _version_pages(storage: Storage, prefix: str) -> Iterator[Any]:
    with as_storage_error(storage.options.bucket, prefix):
        pages = storage.client.get_paginator("list_object_versions")
        yield from pages.paginate(Bucket=storage.options.bucket, Prefix=prefix)


def _headers(storage: Storage, key: str) -> dict[str, str]:
    with as_storage_error(storage.options.bucket, key):
        return dict(storage.client.head_object(Bucket=storage.options.bucket, Key=key)["Metadata"])


def _reserved(key: str) -> bool:
    return key.partition("/")[0] in RESERVED_PREFIXES
