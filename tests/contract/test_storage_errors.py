"""What an error of a store means, over a store that refuses at will."""

from __future__ import annotations

import hashlib
import socket
from base64 import b64encode

import pytest

from bide.errors import ConfigurationError, StorageError
from tests.contract.odd_stores import Refuser
from tests.contract.stores import set_keys, storage_at


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    set_keys(monkeypatch)


def test_a_put_carries_an_explicit_digest_and_no_surprises() -> None:
    """SHA-256 of the content; neither the checksums nor the Expect header that other stores stumble over."""
    with Refuser(200, "") as store:
        store.storage().put("k", b"content", content_type="image/png")
    headers = store.seen[0].headers
    assert headers["x-amz-checksum-sha256"] == b64encode(hashlib.sha256(b"content").digest()).decode()
    assert not {"expect", "x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm", "transfer-encoding"} & set(headers)


@pytest.mark.parametrize(
    ("status", "code", "permanent"),
    [
        (403, "AccessDenied", True),
        (403, "InvalidAccessKeyId", True),
        (403, "SignatureDoesNotMatch", True),
        (404, "NoSuchBucket", True),
        (400, "InvalidRequest", True),
        (400, "SomethingNew", True),
        (501, "NotImplemented", True),
        (500, "InternalError", False),
        (503, "SlowDown", False),
        (400, "RequestTimeout", False),
        (400, "BadDigest", False),
        (400, "ExpiredToken", False),
        (403, "RequestTimeTooSkewed", False),
        (404, "NoSuchUpload", False),
        (409, "OperationAborted", False),
        (429, "TooManyRequests", False),
    ],
)
def test_refusals_are_kept_apart_by_whether_trying_again_helps(status: int, code: str, permanent: bool) -> None:
    """Every refusal raises, names bucket, key and code, and says whether it is final."""
    with Refuser(status, code) as store, pytest.raises(StorageError, match=f"s3://results/a/k: {code}") as refused:
        store.storage().put("a/k", b"x", content_type="text/plain")
    assert refused.value.permanent is permanent
    assert ("; " in str(refused.value)) is permanent


def test_a_store_that_does_not_know_the_digest_has_an_error_of_its_own() -> None:
    """No guessing, no silent second try without the digest: the message names the header."""
    with Refuser(501, "NotImplemented") as store, pytest.raises(StorageError, match="x-amz-checksum-sha256"):
        store.storage().put("k", b"x", content_type="text/plain")
    assert len(store.seen) == 1


def test_passing_trouble_is_retried_as_often_as_set() -> None:
    """Puts are safe to repeat, and boto3 does it."""
    with Refuser(503, "SlowDown") as store, pytest.raises(StorageError):
        store.storage(max_attempts=2).put("k", b"x", content_type="text/plain")
    assert len(store.seen) == 2


def test_a_store_that_is_away_may_come_back() -> None:
    """Nobody listens: not final, and no matter of the bucket's name."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        storage = storage_at(f"http://127.0.0.1:{probe.getsockname()[1]}")
    with pytest.raises(StorageError, match="can not be reached") as put:
        storage.put("k", b"x", content_type="text/plain")
    with pytest.raises(StorageError, match="can not be reached") as check:
        storage.check()
    assert not put.value.permanent
    assert not check.value.permanent


def test_an_endpoint_that_is_no_address_is_a_matter_of_configuration() -> None:
    """The message names the variable."""
    with pytest.raises(ConfigurationError, match="BIDE_S3__ENDPOINT_URL"):
        storage_at("not an address").put("k", b"x", content_type="text/plain")


def test_missing_keys_are_final(monkeypatch: pytest.MonkeyPatch) -> None:
    """No keys anywhere: the message says which variables boto3 reads."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StorageError, match="AWS_ACCESS_KEY_ID") as missing:
        storage_at("http://127.0.0.1:9").put("k", b"x", content_type="text/plain")
    assert missing.value.permanent
