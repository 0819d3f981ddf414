"""Compressed messages are decompressed up to a limit, and only by codecs that know one."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from kombu import compression

from workers.transport.decompress import MAX_BODY_BYTES, limit_decompression


@pytest.fixture(autouse=True)
def limited() -> Iterator[None]:
    """The decoders of kombu replaced, and back again."""
    module: Any = compression
    before = dict(module._encoders), dict(module._decoders)
    limit_decompression()
    yield
    module._encoders.update(before[0])
    module._decoders.update(before[1])


@pytest.mark.parametrize("how", ["gzip", "zlib", "bzip2", "lzma"])
def test_what_clients_compress_is_decompressed(how: str) -> None:
    """The bytes are those of kombu's own decoders."""
    packed, name = compression.compress("a message", how)

    assert compression.decompress(packed, name) == b"a message"


def test_a_bomb_is_refused() -> None:
    """A few kilobytes that would become more than any message is long."""
    with pytest.raises(ValueError, match="unpacks to more than"):
        compression.decompress(zlib.compress(b" " * (MAX_BODY_BYTES + 1)), "gzip")
