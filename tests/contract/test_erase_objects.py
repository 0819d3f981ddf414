"""Erasure at real servers: folders of jobs, removals in one request, old versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from bide.erasure import bucket
from bide.storage import Storage
from tests.contract.stores import BUCKET, bucket_at, moto, nanio, set_keys

DAY = "2026/11/30"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    set_keys(monkeypatch)


def filled(storage: Storage) -> list[str]:
    """Two jobs, one below a prefix, beside objects that are no job's; the keys of the first."""
    first = [f"{DAY}/a/0.png", f"{DAY}/a/inputs/x.png", f"{DAY}/a/job.json"]
    others = [f"x/y/{DAY}/b/job.json", "runs/r/input.jsonl", "uploads/1", "notes.txt", f"{DAY}/ab/0.png"]
    for key in (*first, *others):
        metadata = {"bide-tenant": "acme", "order": "größe 5"}
        storage.put(key, b'{"metadata": {"order": "7"}}', content_type="text/plain", metadata=metadata)
    return first


def check_folders(storage: Storage) -> None:
    """What is found, what is read of it, and what is left after one is removed."""
    first = filled(storage)
    found = {folder.job_id: folder for folder in bucket.folders(storage)}
    assert set(found) == {"a", "ab", "b"}
    assert (list(found["a"].keys), found["b"].prefix) == (first, f"x/y/{DAY}/b/")
    assert bucket.asked_of(storage, found["a"], ["order"]) == ("acme", {"order": "7"})
    assert bucket.asked_of(storage, found["ab"], ["order"]) == ("acme", {"order": "größe 5"})
    removed = bucket.remove(storage, found["a"].keys)
    assert (removed.objects, removed.failed) == (3, [])
    assert bucket.remove(storage, found["a"].keys).failed == []
    assert {folder.job_id for folder in bucket.folders(storage)} == {"ab", "b"}


def test_old_versions_go_where_that_is_asked() -> None:
    """Without it they stay, and are known; with it nothing is left, delete markers included."""
    with moto() as url:
        storage = bucket_at(url)
        check_folders(storage)
        assert bucket.has_versions(storage) is False
        storage.client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        assert bucket.has_versions(storage) is True
        first = filled(storage)
        filled(storage)
        bucket.remove(storage, first)
        assert "a" not in {folder.job_id for folder in bucket.folders(storage)}
        [folder] = [each for each in bucket.folders(storage, versions=True) if each.job_id == "a"]
        removed = bucket.remove(storage, folder.keys, versions=True)
        assert (removed.failed, removed.versions >= len(first) * 3) == ([], True)
        assert list(bucket.version_keys(storage, f"{DAY}/a/")) == []
        assert f"{DAY}/ab/0.png" in set(bucket.version_keys(storage, ""))
        bucket.remove(storage, [*dict.fromkeys(bucket.version_keys(storage, ""))], versions=True)
        storage.client.delete_bucket(Bucket=BUCKET)  # moto's servers of one process share what they keep


@pytest.mark.whole
def test_a_server_without_versions_is_well(tmp_path: Path) -> None:
    """The store of `bide up`."""
    with nanio(tmp_path) as url:
        storage = bucket_at(url)
        check_folders(storage)
        assert not bucket.has_versions(storage)
