"""Addresses, metadata and installation: what of the storage needs no server."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from bide.errors import InvalidRequestError
from bide.storage import MAX_METADATA_BYTES, Storage, StorageOptions, header_safe, parse_uri
from tests.contract.stores import set_keys


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    set_keys(monkeypatch)


def test_metadata_stays_within_what_s3_has_room_for() -> None:
    """What does not fit is left out; what fits after it still goes."""
    safe = header_safe({"a": "x" * 1500, "b": "y" * 1500, "c": "\n\ud800"})
    assert safe == {"a": "x" * 1500, "c": "%0A?"}
    assert sum(len(name) + len(value) for name, value in safe.items()) <= MAX_METADATA_BYTES


@pytest.mark.parametrize("uri", ["", "s3://", "s3://b", "s3://b/", "s3:///k", "http://b/k"])
def test_what_is_no_storage_address_is_refused(uri: str) -> None:
    """Bucket and key must both be there."""
    with pytest.raises(InvalidRequestError):
        parse_uri(uri)


def test_a_storage_address_is_taken_apart() -> None:
    """Everything behind the bucket is the key, as it is."""
    assert parse_uri("s3://bucket/a/b?c=%20#d") == ("bucket", "a/b?c=%20#d")


def test_without_boto3_only_use_fails() -> None:
    """A caller's installation has no boto3: importing works, using says what to install."""
    program = """
import sys
sys.modules["boto3"] = sys.modules["botocore"] = None
from bide.errors import ConfigurationError
from bide.storage import Storage, StorageOptions
storage = Storage(StorageOptions("b"))
try:
    storage.put("k", b"x", content_type="text/plain")
except ConfigurationError as error:
    print(error)
"""
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "bide[s3]" in printed


def test_presigned_addresses_name_the_public_endpoint() -> None:
    """Others fetch from the address under which they reach the store, which its signature covers."""
    options = StorageOptions(
        "pictures", endpoint_url="http://internal:9000", public_endpoint_url="https://s3.example.com"
    )
    address = Storage(options).presign("s3://pictures/a/b.png", expires_seconds=60)
    assert address.startswith("https://s3.example.com/pictures/a/b.png?")


def test_an_address_is_the_same_as_of_the_same_moment() -> None:
    """Byte for byte, at any time: a request that holds it can be sent again."""
    storage = Storage(StorageOptions("pictures", endpoint_url="http://internal:9000"))
    moment, later = datetime(2026, 5, 17, 12, 30, 1, tzinfo=UTC), datetime(2026, 5, 17, 12, 30, 2, tzinfo=UTC)
    first, again, other = (
        storage.presign("s3://pictures/a.png", expires_seconds=60, as_of=at) for at in (moment, moment, later)
    )
    assert first == again != other
    assert "X-Amz-Date=20260517T123001Z" in first
    assert "20260517T1230" not in storage.presign("s3://pictures/a.png", expires_seconds=60)
