"""The test of an object store, and what the doctor says of it, over a real store behind proxies that are no S3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bide.storage import PART_BYTES, Storage
from bide.storage_digests import CHECKSUMS, Checksum
from tests.contract import odd_stores
from tests.contract.odd_stores import Proxy, Rule
from tests.contract.stores import BUCKET, moto, nanio, set_keys, storage_at
from tests.web_server import Request
from workers.doctor.findings import Finding, Level
from workers.doctor.stores import check_store
from workers.io.store_probe import probe

#: For each store: with which digests it takes objects in one piece and in parts.
TAKES: list[tuple[Rule, tuple[Checksum, ...], tuple[Checksum, ...]]] = [
    (odd_stores.takes_all, CHECKSUMS, CHECKSUMS),
    (odd_stores.like_backblaze, ("md5", "none"), ("md5", "none")),
    (odd_stores.like_r2, ("md5", "none"), ("md5", "none")),
    (odd_stores.malformed_completion, CHECKSUMS, ("md5", "none")),
    (odd_stores.broken_completion, CHECKSUMS, ("md5", "none")),
    (odd_stores.no_digest_at_all, ("none",), ("none",)),
    (odd_stores.no_parts, CHECKSUMS, ()),
    (odd_stores.keeps_nothing_in_parts, CHECKSUMS, ()),
    (odd_stores.loses_all, (), ()),
    (odd_stores.refuses_all, (), ()),
]
every_store = pytest.mark.parametrize(("rule", "whole", "parts"), TAKES, ids=[rule.__name__ for rule, _, _ in TAKES])
every_digest = pytest.mark.parametrize("checksum", CHECKSUMS)


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys, and no patience with copies that lag behind."""
    set_keys(monkeypatch)
    monkeypatch.setattr("workers.io.store_probe.READ_AGAIN_SECONDS", (0.0, 0.0))


@pytest.fixture(scope="module", name="server")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """The real store behind the proxies; it checks signatures."""
    with pytest.MonkeyPatch.context() as environment:
        set_keys(environment)
        folder = tmp_path_factory.mktemp("nanio")
        (folder / BUCKET).mkdir()
        with nanio(folder) as url:
            yield storage_at(url)


@contextmanager
def behind(rule: Rule, server: Storage, checksum: Checksum = "sha256") -> Iterator[Storage]:
    """A storage that reaches the server through a proxy."""
    with Proxy(server.options.endpoint_url or "", rule) as proxy:
        yield proxy.storage(checksum=checksum)


def litter(server: Storage, rule: Rule = odd_stores.takes_all) -> list[str]:
    """What lies in the bucket, and uploads that have no end; those that a proxy says have ended are the proxy's."""
    objects = server.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    uploads = server.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    if rule is odd_stores.keeps_nothing_in_parts:
        for each in uploads:
            server.client.abort_multipart_upload(Bucket=BUCKET, Key=each["Key"], UploadId=each["UploadId"])
        uploads = []
    return [*(each["Key"] for each in objects), *(each["Key"] for each in uploads)]


def by_level(findings: list[Finding], level: Level) -> dict[str, Finding]:
    """The findings of a level by their names."""
    return {finding.check: finding for finding in findings if finding.level is level}


@every_store
@every_digest
def test_a_probe_finds_what_results_would(
    server: Storage, rule: Rule, whole: tuple[str, ...], parts: tuple[str, ...], checksum: Checksum
) -> None:
    """It fails where a result would, says on which way, and leaves nothing in the bucket."""
    with behind(rule, server, checksum) as storage:
        failure = probe(storage, "probe/1")
    assert (failure is None) is (checksum in whole and checksum in parts)
    if failure is not None:
        assert failure.in_parts is (checksum in whole)
    assert litter(server, rule) == []


@pytest.mark.parametrize(
    ("rule", "checksum"),
    [
        (odd_stores.takes_all, "sha256"),
        (odd_stores.like_backblaze, "md5"),
        (odd_stores.like_r2, "md5"),
        (odd_stores.malformed_completion, "md5"),
        (odd_stores.broken_completion, "md5"),
        (odd_stores.no_digest_at_all, "none"),
    ],
)
def test_results_of_each_size_are_stored_with_the_right_digest(server: Storage, rule: Rule, checksum: Checksum) -> None:
    """What the doctor recommends does for pictures and for videos of several parts."""
    with behind(rule, server, checksum) as storage:
        for size in (100, 2 * PART_BYTES + 7):
            content = bytes(range(256)) * (size // 256) + bytes(size % 256)
            version = storage.put("picture", content, content_type="image/png", metadata={"job": "j"})
            assert storage.get(storage.uri("picture"), max_bytes=size) == content
            storage.remove("picture", version)
    assert litter(server) == []


@pytest.mark.parametrize(
    ("rule", "whole", "parts", "checksum"),
    [(*store, "sha256") for store in TAKES] + [(*store, weaker) for store in TAKES[:2] for weaker in CHECKSUMS[1:]],
)
def test_the_doctor_says_which_value_to_set(
    server: Storage, rule: Rule, whole: tuple[str, ...], parts: tuple[str, ...], checksum: Checksum
) -> None:
    """The strongest that the store takes in both ways. A value that it takes is left alone, unless damage passes."""
    with behind(rule, server, checksum) as storage:
        findings = list(check_store(storage))
    problems, warnings = by_level(findings, Level.PROBLEM), by_level(findings, Level.WARNING)
    best = next((each for each in CHECKSUMS if each in whole and each in parts), None)
    advice = f"set BIDE_S3__CHECKSUM={best}"
    if best is None:
        assert problems
        assert "BIDE_S3__CHECKSUM=" not in " ".join(each.remedy for each in findings)
    elif checksum in whole and checksum in parts:
        assert problems == {}
        checked = checksum == "md5"  # as this server does
        assert ("store checksums" in warnings) is not checked
        assert checked or "set BIDE_S3__CHECKSUM=md5" in warnings["store checksums"].remedy
    else:
        assert list(problems) == ["checksum setting"]
        assert advice in problems["checksum setting"].remedy
        assert "s3:PutObject" not in problems["checksum setting"].remedy
    assert litter(server, rule) == []


def test_the_doctor_names_the_way_that_is_refused(server: Storage) -> None:
    """The store's own code and status, for an object or for an upload in parts."""
    with behind(odd_stores.like_backblaze, server) as storage:
        finding = by_level(list(check_store(storage)), Level.PROBLEM)["checksum setting"].says
    assert "BIDE_S3__CHECKSUM=sha256: an object in one piece: InvalidArgument, HTTP 400" in finding
    with behind(odd_stores.malformed_completion, server) as storage:
        finding = by_level(list(check_store(storage)), Level.PROBLEM)["checksum setting"].says
    assert "an upload in parts: MalformedXML, HTTP 400" in finding


def test_a_store_without_digests_and_without_parts_has_both_problems(server: Storage) -> None:
    """The value that does for small objects, and that no large one is stored with it."""
    with behind(lambda it: odd_stores.like_backblaze(it) or odd_stores.no_parts(it), server) as storage:
        problems = by_level(list(check_store(storage)), Level.PROBLEM)
    assert "BIDE_S3__CHECKSUM=md5" in problems["checksum setting"].remedy
    assert "no file over 8 MiB is stored" in problems["large objects"].says


def test_keys_that_may_only_read_are_no_matter_of_digests(server: Storage) -> None:
    """The remedy is a right."""

    def reads_only(request: Request) -> odd_stores.Answered | None:
        return odd_stores.refused(403, "AccessDenied") if request.method in ("PUT", "POST") else None

    with behind(reads_only, server) as storage:
        problems = by_level(list(check_store(storage)), Level.PROBLEM)
    assert list(problems) == ["store rights"]
    assert "s3:PutObject" in problems["store rights"].remedy


def test_keys_that_may_not_delete_leave_one_object(server: Storage) -> None:
    """However often the store is tested; that is no failure, and the doctor names what it left."""

    def keeps(request: Request) -> odd_stores.Answered | None:
        kept = request.method == "DELETE" and "uploadId" not in request.target
        return odd_stores.refused(403, "AccessDenied") if kept else None

    with behind(keeps, server) as storage:
        assert [probe(storage, "probe/1") for _ in range(3)] == [None] * 3
        assert litter(server) == ["probe/1"]
        findings = list(check_store(storage))
    assert not by_level(findings, Level.PROBLEM)
    assert "stays, since it may not be deleted" in by_level(findings, Level.OK)["probe"].says
    for key in litter(server):
        server.remove(key)


def test_a_probe_leaves_no_version() -> None:
    """Neither objects nor markers of deleted ones pile up in a bucket with versions."""
    with moto() as url:
        storage = storage_at(url, "versions")  # moto's servers share their buckets
        storage.client.create_bucket(Bucket="versions")
        storage.client.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
        assert [probe(storage, "probe/1") for _ in range(2)] == [None, None]
        list(check_store(storage))
        left = storage.client.list_object_versions(Bucket="versions")
    assert (left.get("Versions", []), left.get("DeleteMarkers", [])) == ([], [])


def test_a_store_that_is_away_is_tested_fast() -> None:
    """Nobody listens: the failure says so, and is no refusal."""
    failure = probe(storage_at("http://127.0.0.1:9"), "probe/1")
    assert failure is not None
    assert "can not be reached" in str(failure)
    assert not failure.refused
