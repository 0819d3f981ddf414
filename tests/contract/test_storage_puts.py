"""Puts by obstore: what goes over the wire, what is left to boto3, and what an operator reads."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from pathlib import Path

import pytest

from bide.errors import StorageError
from bide.storage import PART_BYTES
from bide.storage_puts import MAX_MISSES
from tests.contract.odd_stores import Refuser, Server
from tests.contract.stores import bucket_at, moto, nanio, set_keys, storage_at
from tests.web_server import Request
from workers.doctor.findings import Level
from workers.doctor.stores import _check_damage

STORED = (200, {"ETag": '"1"', "x-amz-version-id": "v1"}, b"")


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    set_keys(monkeypatch)


def by_obstore(request: Request) -> bool:
    """Whether obstore made the request; boto3 has a user agent of its own."""
    return request.headers["user-agent"].endswith(" obstore")


def test_a_put_is_one_request_with_signature_and_digest() -> None:
    """The payload is signed, its SHA-256 goes along, and so do type and metadata."""
    with Server(lambda _: STORED) as server:
        version = server.storage(puts="obstore").put(
            "a/b.png", b"content", content_type="image/png", metadata={"job": "j-1", "order": "größe"}
        )
    [put] = server.seen
    assert by_obstore(put)
    assert (put.method, put.target, put.body, version) == ("PUT", "/results/a/b.png", b"content", "v1")
    digest = hashlib.sha256(b"content")
    assert put.headers["x-amz-checksum-sha256"] == b64encode(digest.digest()).decode()
    assert put.headers["x-amz-content-sha256"] == digest.hexdigest()
    assert put.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=bide-test/")
    assert put.headers["content-type"] == "image/png"
    assert (put.headers["x-amz-meta-job"], put.headers["x-amz-meta-order"]) == ("j-1", "gr%C3%B6%C3%9Fe")
    assert not {"expect", "transfer-encoding"} & set(put.headers)


def test_a_digest_is_left_out_where_the_store_takes_none() -> None:
    """The signature covers the content."""
    with Server(lambda _: STORED) as server:
        server.storage(puts="obstore", checksum="none").put("k", b"content", content_type="image/png")
    [put] = server.seen
    assert by_obstore(put)
    assert put.headers["x-amz-content-sha256"] == hashlib.sha256(b"content").hexdigest()
    assert not [name for name in put.headers if "checksum" in name]


@pytest.mark.parametrize(
    ("key", "metadata", "options"),
    [
        ("end/", {}, {}),
        ("two//slashes", {}, {}),
        ("a/./b", {}, {}),
        ("k", {"Content-Type": "text/html"}, {}),
        ("k", {"Cache-Control": "no-store"}, {}),
        ("k", {}, {"checksum": "md5"}),
        ("k", {}, {"puts": "boto3"}),
    ],
    ids=str,
)
def test_what_obstore_would_change_is_left_to_boto3(
    key: str, metadata: dict[str, str], options: dict[str, str]
) -> None:
    """Odd keys, metadata with a header's name, MD5: one put by boto3, as the caller gave them."""
    with Server(lambda _: STORED) as server:
        server.storage(**{"puts": "obstore", **options}).put(
            key, b"content", content_type="image/png", metadata=metadata
        )
    [put] = server.seen
    assert not by_obstore(put)
    assert put.target == f"/results/{key}"
    assert put.headers["content-type"] == "image/png"
    assert {name for name in put.headers if name.startswith("x-amz-meta-")} == {
        f"x-amz-meta-{name.lower()}" for name in metadata
    }


def test_what_has_changed_since_it_was_fetched_is_not_made_whole() -> None:
    """A store that checks refuses it: the digest that goes along is the one that the caller gave."""
    digest = hashlib.sha256(b"content")
    with Server(lambda _: STORED) as server:
        server.storage(puts="obstore").put("k", b"c0ntent", content_type="image/png", sha256=digest.hexdigest())
    [put] = server.seen
    assert not by_obstore(put)
    assert put.headers["x-amz-checksum-sha256"] == b64encode(digest.digest()).decode()


def test_a_large_object_goes_up_in_parts_by_boto3(tmp_path: Path) -> None:
    """Memory holds one part."""
    with nanio(tmp_path) as url:
        storage = bucket_at(url, puts="obstore")
        content = b"x" * (PART_BYTES + 1)
        storage.put("large", content, content_type="video/mp4")
        assert storage.client.head_object(Bucket="results", Key="large")["ETag"].endswith('-2"')


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (400, "InvalidRequest"), (503, "SlowDown")])
def test_boto3_says_what_the_store_refuses(status: int, code: str) -> None:
    """The error is the one that boto3 alone would give; no key of the store is in it."""
    with Refuser(status, code) as store, pytest.raises(StorageError) as refused:
        store.storage(puts="obstore").put("a/k", b"x", content_type="text/plain")
    with Refuser(status, code) as other, pytest.raises(StorageError) as expected:
        other.storage().put("a/k", b"x", content_type="text/plain")
    assert (str(refused.value), refused.value.permanent) == (str(expected.value), expected.value.permanent)
    assert "SECRET" not in repr(refused.value.__context__)


def test_one_failure_of_obstore_costs_no_put() -> None:
    """A connection that is dropped, or an answer that it can't take: boto3 puts the object at once."""
    with Server(lambda request: (500, {}, b"") if by_obstore(request) else STORED) as server:
        storage = server.storage(puts="obstore")
        for _ in range(MAX_MISSES + 2):
            assert storage.put("k", b"x", content_type="text/plain") == "v1"
    assert [by_obstore(put) for put in server.seen] == [True, False] * MAX_MISSES + [False, False]


def test_renewed_keys_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """After `renew`, the next put looks for the access keys anew; a session token goes along."""
    with Server(lambda _: STORED) as server:
        storage = server.storage(puts="obstore")
        storage.put("k", b"x", content_type="text/plain")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "renewed")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-the-test")
        storage.renew()
        storage.put("k", b"x", content_type="text/plain")
    first, second = server.seen
    assert by_obstore(first)
    assert by_obstore(second)
    assert "Credential=bide-test/" in first.headers["authorization"]
    assert "Credential=renewed/" in second.headers["authorization"]
    assert second.headers["x-amz-security-token"] == "token-of-the-test"


def test_a_bucket_may_be_a_host_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of the bucket is boto3's, whatever the style; the proxy of the environment is used by both."""
    with Server(lambda _: STORED) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        for puts in ("obstore", "boto3"):
            storage = storage_at("http://objects.example.com", puts=puts, addressing_style="virtual")
            storage.put("a/k", b"x", content_type="text/plain")
    ours, theirs = proxy.seen
    assert (by_obstore(ours), by_obstore(theirs)) == (True, False)
    assert ours.target == theirs.target == "http://results.objects.example.com/a/k"


def test_the_environment_of_obstore_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads variables that boto3 does not know; the options and boto3 alone decide."""
    for name, value in {
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_UNSIGNED_PAYLOAD": "true",
        "AWS_ENDPOINT": "http://127.0.0.1:9",
        "AWS_BUCKET": "another",
        "AWS_S3_EXPRESS": "true",
        "AWS_REQUEST_PAYER": "true",
    }.items():
        monkeypatch.setenv(name, value)
    with Server(lambda _: STORED) as server:
        server.storage(puts="obstore", checksum="none").put("k", b"x", content_type="text/plain")
    [put] = server.seen
    assert by_obstore(put)
    assert put.target == "/results/k"
    assert put.headers["x-amz-content-sha256"] == hashlib.sha256(b"x").hexdigest()
    assert "x-amz-request-payer" not in put.headers


@pytest.mark.parametrize(
    ("name", "value"), [("AWS_CHECKSUM_ALGORITHM", "crc64nvme"), ("AWS_SERVER_SIDE_ENCRYPTION", "AES256")]
)
def test_variables_that_only_obstore_knows_leave_all_puts_to_boto3(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """They would change the headers of each object."""
    monkeypatch.setenv(name, value)
    with Server(lambda _: STORED) as server:
        server.storage(puts="obstore", checksum="none").put("k", b"x", content_type="text/plain")
    [put] = server.seen
    assert not by_obstore(put)
    assert not {name for name in put.headers if "checksum" in name or "encryption" in name}


def test_without_keys_boto3_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variables."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with moto() as url, pytest.raises(StorageError, match="NoCredentialsError"):
        storage_at(url, puts="obstore").put("k", b"x", content_type="text/plain")


def test_the_doctor_sees_whether_damage_is_refused() -> None:
    """Whatever library puts small objects: a store that checks the digest is found to do so, another is not."""

    def checking(request: Request) -> tuple[int, dict[str, str], bytes]:
        digest = b64encode(hashlib.sha256(request.body).digest()).decode()
        wrong = request.method == "PUT" and request.headers.get("x-amz-checksum-sha256", digest) != digest
        return (400, {}, b"<Error><Code>BadDigest</Code></Error>") if wrong else STORED

    for answer, level in ((checking, Level.OK), (lambda _: STORED, Level.WARNING)):
        with Server(answer) as server:
            assert _check_damage(server.storage(puts="obstore"), "k").level is level
