"""PNG and APNG: the pixels are counted, as far as they are there; checksums count where a picture needs them."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from itertools import product
from typing import Any

import pytest
from PIL import Image

from bide.errors import BadMediaError
from tests.media import PNG_HEAD, chunk, extent_of, header, kind_of, png, rows
from workers.io.sniff import EndsEarlyError

LAYOUTS: list[dict[str, Any]] = [
    {"depth": depth, "colour": colour, "interlaced": interlaced}
    for (colour, depths), interlaced in product(
        {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items(), (0, 1)
    )
    for depth in depths
]


@pytest.mark.parametrize("size", [(37, 21), (1, 1), (3, 2), (8, 8)], ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_pixels_of_every_layout_are_counted(layout: dict[str, Any], size: tuple[int, int]) -> None:
    """Depths, colours and interlacing: a whole picture is one to Pillow as well, with one byte less it is cut."""
    width, height = size
    whole = png(width=width, height=height, **layout)
    Image.open(io.BytesIO(whole)).load()
    assert extent_of(whole) == size
    with pytest.raises(EndsEarlyError, match="before its pixels"):
        kind_of(png(width=width, height=height, data=rows(width, height, **layout)[:-1], **layout))


def test_a_file_of_half_the_pixels_is_cut_whatever_its_checksums_say() -> None:
    """Whether the packed data end in their middle, or are whole and too few."""
    data = zlib.compress(bytes(range(256)) * 9)
    parts = [header(37, 21), chunk(b"IDAT", data[: len(data) // 2]), chunk(b"IEND")]
    with pytest.raises(EndsEarlyError):
        kind_of(PNG_HEAD + b"".join(parts))
    with pytest.raises(EndsEarlyError):
        kind_of(png(data=rows(37, 21)[: 37 * 21]))
    with pytest.raises(EndsEarlyError):
        kind_of(png(data=b""))


def test_pixels_may_lie_in_any_number_of_chunks() -> None:
    """A byte each, empty ones, and more data than pixels."""
    packed = zlib.compress(rows(37, 21) + bytes(1000))
    pieces = [chunk(b"IDAT", packed[at : at + 1]) for at in range(len(packed))]
    whole = PNG_HEAD + header(37, 21) + chunk(b"IDAT") + b"".join(pieces) + chunk(b"IEND")
    assert extent_of(whole) == (37, 21)


def test_the_checksum_behind_the_pixels_is_not_asked_for() -> None:
    """A decoder that has the last pixel does not look at it either."""
    packed = zlib.compress(rows(37, 21))
    whole = PNG_HEAD + header(37, 21) + chunk(b"IDAT", packed[:-4] + b"\0\0\0\0") + chunk(b"IEND")
    assert extent_of(whole) == (37, 21)


@pytest.mark.parametrize("name", [b"tEXt", b"iTXt", b"eXIf", b"prVt", b"tIME"])
def test_wrong_checksums_of_side_chunks_do_no_harm(name: bytes) -> None:
    """Browsers do not look at them."""
    assert extent_of(png(chunk(name, b"Comment\0made of tests", crc=1))) == (37, 21)
    assert extent_of(png()[:-1] + b"?") == (37, 21)


@pytest.mark.parametrize("name", [b"IHDR", b"IDAT", b"PLTE"])
def test_wrong_checksums_of_what_a_picture_needs_are_damage(name: bytes) -> None:
    """A byte that changed on the way shows there."""
    whole = png(colour=3)
    at = whole.index(name) + 4 + int.from_bytes(whole[whole.index(name) - 4 : whole.index(name)], "big")
    with pytest.raises(BadMediaError, match="checksum"):
        kind_of(whole[:at] + bytes(4) + whole[at + 4 :])


def test_pixels_that_can_not_be_unpacked_are_damage() -> None:
    """Though the checksum of their chunk is right."""
    damaged = PNG_HEAD + header(37, 21) + chunk(b"IDAT", b"\x78\x9c" + b"\xff" * 50) + chunk(b"IEND")
    with pytest.raises(BadMediaError, match="can't be unpacked"):
        kind_of(damaged)


def animation(*shares: float) -> bytes:
    """An APNG whose first picture is that of the file; the others are smaller, and so much of each is there."""
    frames = b""
    for number, share in enumerate(shares):
        data = rows(10, 7)
        control = struct.pack(">IIIIIHHBB", 2 * number + 1, 10, 7, 0, 0, 1, 10, 0, 0)
        packed = struct.pack(">I", 2 * number + 2) + zlib.compress(data[: int(len(data) * share)])
        frames += chunk(b"fcTL", control) + chunk(b"fdAT", packed)
    first = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 37, 21, 0, 0, 1, 10, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(rows(37, 21)))
    count = chunk(b"acTL", struct.pack(">II", len(shares) + 1, 0))
    return PNG_HEAD + header(37, 21) + count + first + pixels + frames + chunk(b"IEND")


def test_each_picture_of_an_animation_has_to_be_whole() -> None:
    """They have sizes of their own."""
    assert extent_of(animation(1, 1, 1)) == (37, 21)
    for shares in [(0.5, 1, 1), (1, 0.5, 1), (1, 1, 0.5)]:
        with pytest.raises(EndsEarlyError):
            kind_of(animation(*shares))


def test_a_bomb_of_pixels_takes_no_memory() -> None:
    """200 MB of pixels in 200 kB are counted and thrown away."""
    bomb = png(width=16_000, height=4_100)
    tracemalloc.start()
    try:
        assert extent_of(bomb) == (16_000, 4_100)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_pixels_laid_out_in_an_unknown_way_are_stored_with_a_warning() -> None:
    """A colour type that the standard does not have says nothing against the file."""
    kind = kind_of(PNG_HEAD + header(37, 21, colour=9) + chunk(b"IDAT", b"x") + chunk(b"IEND"))
    assert (kind.content_type, kind.ext, kind.width, kind.height) == ("image/png", "png", None, None)
    assert "the PNG could not be checked" in kind.warning
