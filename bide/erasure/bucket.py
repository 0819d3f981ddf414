"""The objects of jobs in the bucket: found folder by folder, read as far as must be, and removed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from urllib.parse import unquote

from bide.contract import JOB_ID, RESERVED_PREFIXES
from bide.errors import StorageError
from bide.ledger.identity import LEDGER
from bide.storage import Storage, plain_name
from bide.storage_errors import as_storage_error, boto_errors, http_status

#: The key of a job's object: what comes before its date, the date, the job, and the object's own name.
_OBJECT = re.compile(rf"(?P<folder>(?:.+/)?(?P<date>\d{{4}}/\d\d/\d\d)/(?P<job>{JOB_ID.pattern}))/(?P<name>.+)")

#: The object that is written last, and removed last: it says whose objects the others are.
DOCUMENT = "job.json"

#: Metadata of each of a job's objects: its id.
OWN_JOB = "bide-job"

#: The names that stored inputs have behind their job's folder; those of earlier releases have no metadata.
_INPUT = re.compile(r"inputs/[0-9a-f]{32}\.[A-Za-z0-9]+")

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

    @property
    def speaker(self) -> str:
        """The key of the object that says most of the job: `job.json`, else the first."""
        document = f"{self.prefix}{DOCUMENT}"
        return document if document in self.keys else self.keys[0]


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


def about(storage: Storage, key: str, *, versions: bool = False) -> dict[str, str]:
    """The metadata of an object; with `versions` that of its latest old version, where it is gone. Empty for none."""
    if found := _at(storage, key, versions=versions):
        return {name: unquote(value) for name, value in found["Metadata"].items()}
    return {}


def is_jobs(storage: Storage, folder: Folder, named: Mapping[str, str], *, versions: bool = False) -> bool:
    """Whether a folder is a job's, by the metadata `named` of its speaker, else by that of any other object.

    Keys alone tell nothing, since another program's may look the same; but for stored inputs of earlier releases.
    """
    if OWN_JOB in named or LEDGER in named:
        return named.get(OWN_JOB, folder.job_id) == folder.job_id
    others = [key for key in folder.keys if not _INPUT.fullmatch(key.removeprefix(folder.prefix))]
    of_job = (about(storage, key, versions=versions).get(OWN_JOB) == folder.job_id for key in folder.keys)
    return not others or any(of_job)


def asked_of(
    storage: Storage, folder: Folder, names: Sequence[str], *, versions: bool = False
) -> tuple[str, dict[str, Any]]:
    """Tenant and metadata of a job by its objects: those of `job.json`, else what its objects say of these `names`.

    With `versions` old versions say it, where the object itself is gone.
    """
    named = about(storage, folder.speaker, versions=versions)
    plain = {name: plain_name(name) for name in (*names, "tenant")}
    metadata: dict[str, Any] = {name: named[it] for name, it in plain.items() if it in named}
    if folder.speaker.endswith(f"/{DOCUMENT}"):
        try:
            found = json.loads(_content(storage, folder.speaker, versions=versions))
            metadata = dict(found.get("metadata") or {})
        except (ValueError, AttributeError):  # another program's, or gone
            pass
    return named.get("bide-tenant", ""), metadata


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
        for key in in_order:
            removed += _remove_versions(storage, key)
    return removed


def remove_old(storage: Storage, key: str) -> Removed:
    """Remove what the bucket keeps of an object besides the object itself. Raises `StorageError`."""
    return _remove_versions(storage, key, current=False)


def old_versions(storage: Storage, prefix: str) -> Iterator[tuple[str, str]]:
    """Keys and versions of all that objects below a prefix were before; raises `StorageError`."""
    for page in _version_pages(storage, prefix):
        yield from ((each["Key"], each["VersionId"]) for each in page.get("Versions", ()) if not each["IsLatest"])


def remove_version(storage: Storage, key: str, version: str) -> Removed:
    """Remove one version of an object. Raises `StorageError`."""
    failed = _remove(storage, [{"Key": key, "VersionId": version}])
    return Removed(versions=1 - len(failed), failed=failed)


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


def _remove_versions(storage: Storage, key: str, *, current: bool = True) -> Removed:
    """Remove all versions and delete markers of one object, without `current` those alone that are not the object."""
    versions, markers = [], []
    for page in _version_pages(storage, key):
        own = [it for it in page.get("Versions", ()) if it["Key"] == key]
        versions += [it["VersionId"] for it in own if current or not it["IsLatest"]]
        markers += [it["VersionId"] for it in page.get("DeleteMarkers", ()) if it["Key"] == key]
    removed = Removed()
    for some in (versions, markers):  # a marker last: without it an old version would be the object
        for first in range(0, len(some), AT_ONCE):
            named = [{"Key": key, "VersionId": each} for each in some[first : first + AT_ONCE]]
            failed = _remove(storage, named)
            removed += Removed(versions=len(named) - len(failed), failed=failed)
        if removed.failed:
            break
    return removed


def _version_pages(storage: Storage, prefix: str) -> Iterator[Any]:
    with as_storage_error(storage.options.bucket, prefix):
        pages = storage.client.get_paginator("list_object_versions")
        yield from pages.paginate(Bucket=storage.options.bucket, Prefix=prefix)


def _at(storage: Storage, key: str, *, versions: bool) -> Any:
    """What the store says of an object, else of its latest old version where `versions` asks for it; None for none."""
    bucket = storage.options.bucket
    with as_storage_error(bucket, key):
        try:
            return storage.client.head_object(Bucket=bucket, Key=key)
        except boto_errors() as error:
            if http_status(error) != 404:
                raise
        old = next((version for named, version in old_versions(storage, key) if named == key), "") if versions else ""
        return storage.client.head_object(Bucket=bucket, Key=key, VersionId=old) if old else None


def _content(storage: Storage, key: str, *, versions: bool) -> bytes:
    """The content of an object, or of its latest old version; empty where there is none."""
    found = _at(storage, key, versions=versions)
    if not found or found.get("ContentLength", 0) > MAX_DOCUMENT_BYTES:
        return b""
    version = {"version": found["VersionId"]} if versions and found.get("VersionId") else {}
    return storage.get(storage.uri(key), max_bytes=MAX_DOCUMENT_BYTES, **version)


def _reserved(key: str) -> bool:
    return key.partition("/")[0] in RESERVED_PREFIXES
