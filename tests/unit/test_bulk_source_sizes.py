"""Sources and templates out of object storage are bounded before they are copied to a worker's disk."""

from __future__ import annotations

import io
from typing import Any, cast

import pytest

from bide.bulk.sources import MAX_SOURCE_BYTES, MAX_TEMPLATE_BYTES, opened, template_text
from bide.errors import InvalidRequestError
from bide.storage import Storage
from tests.unit.memory_store import MemoryClient, MemoryStorage, memory_storage


class Endless(io.RawIOBase):
    """An object that goes on; it counts what is read of it."""

    def __init__(self) -> None:
        self.read_bytes = 0

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            raise AssertionError("all of it was asked for")
        self.read_bytes += size
        return b"{" * size


class LargeObject(MemoryClient):
    """A store whose objects are endless, with a size that the store declares."""

    def __init__(self, declared_bytes: int) -> None:
        super().__init__()
        self.declared_bytes, self.body = declared_bytes, Endless()

    def get_object(self, **_: Any) -> dict[str, Any]:
        return {"Body": self.body, "ContentLength": self.declared_bytes}


def large(declared_bytes: int) -> tuple[Storage, Endless]:
    """A store with such an object, and the object."""
    storage, client = MemoryStorage(), LargeObject(declared_bytes)
    storage.client = client
    return cast("Storage", storage), client.body


def test_a_template_over_the_limit_is_not_read() -> None:
    """The store says its size first."""
    storage, body = large(MAX_TEMPLATE_BYTES + 1)

    with pytest.raises(InvalidRequestError, match="over the limit of 1048576 bytes for a template"):
        template_text("s3://memory/template.json", storage)
    assert body.read_bytes == 0


def test_a_template_that_is_larger_than_its_store_says_is_read_to_the_limit() -> None:
    """Not to its end, which need not come."""
    storage, body = large(5)

    with pytest.raises(InvalidRequestError, match="over the limit of 1048576 bytes for a template"):
        template_text("s3://memory/template.json", storage)
    assert body.read_bytes <= 3 * MAX_TEMPLATE_BYTES


def test_a_source_over_the_limit_is_not_copied() -> None:
    """It would fill the disk of the worker."""
    storage, body = large(MAX_SOURCE_BYTES + 1)

    with (
        pytest.raises(InvalidRequestError, match="over the limit of 17179869184 bytes for a source"),
        opened("s3://memory/rows.jsonl", storage),
    ):
        raise AssertionError("it was opened")
    assert body.read_bytes == 0


def test_a_source_that_is_larger_than_its_store_says_is_copied_to_the_limit() -> None:
    """The copy is counted, too."""
    storage, body = large(5)

    with (
        pytest.raises(InvalidRequestError, match="over the limit of 3000000 bytes for a source"),
        opened("s3://memory/rows.jsonl", storage, max_bytes=3_000_000),
    ):
        raise AssertionError("it was opened")
    assert body.read_bytes <= 5_000_000


def test_a_template_of_the_largest_size_is_read() -> None:
    """The limit itself is within the limit."""
    storage = memory_storage()
    storage.put("template.json", b"x" * MAX_TEMPLATE_BYTES, content_type="")

    assert len(template_text("s3://memory/template.json", storage)) == MAX_TEMPLATE_BYTES
