"""Pictures: whole ones of every make are taken with the size at which they are shown, cut ones are found."""

from __future__ import annotations

import io
import struct
from typing import IO, Any, cast

import pytest
from PIL import Image

from bide.errors import BadMediaError
from tests.media import (
    box,
    chunk,
    exif,
    extent_of,
    full_box,
    kind_of,
    picture,
    png,
    real,
    riff,
    with_length,
)
from workers.io.sniff import EndsEarlyError, identify

SIDEWAYS = [5, 6, 7, 8]

# JPEG


def test_bytes_between_segments_do_no_harm() -> None:
    """Zero bytes, fill bytes and other rubbish, as decoders pass over them; markers that stand alone, too."""
    whole = picture("JPEG", exif=b"Exif\0\0" + exif(1))
    second = 2 + 2 + int.from_bytes(whole[4:6], "big")
    assert extent_of(whole[:2] + b"\0" * 9 + whole[2:]) == (37, 21)
    for rubbish in [b"\0", b"\0" * 500, b"\xff" * 9, b"abc", b"\xff\x01", b"\xff\0\0"]:
        assert extent_of(whole[:second] + rubbish + whole[second:]) == (37, 21)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 1}, {"subsampling": 2}], ids=str)
def test_a_jpeg_cut_anywhere_is_found(options: dict[str, Any]) -> None:
    """At every byte: in a segment, between two, and in the pixels."""
    whole = picture("JPEG", (9, 9), **options)
    for length in range(3, len(whole)):
        with pytest.raises(BadMediaError):
            kind_of(whole[:length])


def test_a_jpeg_of_tables_alone_holds_no_picture() -> None:
    """It ends before any pixel comes."""
    with pytest.raises(BadMediaError, match="no picture"):
        kind_of(b"\xff\xd8\xff\xdb\0\x43" + bytes(65) + b"\xff\xd9")


def test_a_jpeg_whose_height_comes_later_is_stored_with_a_warning() -> None:
    """A scan of unknown length has it behind its pixels."""
    whole = picture("JPEG")
    at = whole.index(b"\xff\xc0") + 5
    kind = kind_of(whole[:at] + b"\0\0" + whole[at + 2 :])
    assert (kind.ext, kind.width, kind.height) == ("jpg", None, None)
    assert "could not be checked" in kind.warning


# How a picture is shown


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "MPO"])
def test_width_and_height_are_those_of_the_picture_as_it_is_shown(kind: str, orientation: int) -> None:
    """By EXIF, in AVIF by the turn that Pillow makes of it."""
    note = Image.Exif()
    note[0x0112] = orientation
    assert extent_of(picture(kind, exif=note)) == ((21, 37) if orientation in SIDEWAYS else (37, 21))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
def test_orientations_of_either_byte_order_are_read(order: str, kind: int) -> None:
    """As a short and as a long number, in a chunk before or behind the pixels, with and without the prefix."""
    note = exif(6, order=order, kind=kind)
    assert extent_of(png(chunk(b"eXIf", note))) == (21, 37)
    assert extent_of(png(chunk(b"eXIf", b"Exif\0\0" + note))) == (21, 37)
    behind = png().removesuffix(chunk(b"IEND")) + chunk(b"eXIf", note) + chunk(b"IEND")
    assert extent_of(behind) == (21, 37)


@pytest.mark.parametrize(
    "broken", [b"", b"II", exif(6)[:9], exif(6)[:20], exif(9), exif(0), b"II*\0\xff\xff\xff\xff\1\0"]
)
def test_orientations_that_can_not_be_read_turn_nothing(broken: bytes) -> None:
    """Cut, of no known value, or elsewhere."""
    assert extent_of(png(chunk(b"eXIf", broken))) == (37, 21)


def test_exif_of_a_webp_counts_only_where_it_is_announced() -> None:
    """As decoders have it."""
    pixels = picture("WEBP")[20:]
    for flags, extent in [(8, (21, 37)), (0, (37, 21))]:
        head = bytes([flags, 0, 0, 0, 36, 0, 0, 20, 0, 0])
        assert extent_of(riff((b"VP8X", head), (b"VP8 ", pixels), (b"EXIF", exif(8)))) == extent


def test_pictures_of_phones_are_cropped_and_turned() -> None:
    """HEIC is coded in blocks of 64 pixels and cropped; AVIF may be, too, and is turned by a property of its own."""
    assert extent_of(real("odd_31x21.heic")) == (31, 21)
    assert extent_of(real("cropped_16x10.avif")) == (16, 10)
    assert extent_of(real("turned_20x30.avif")) == (20, 30)


@pytest.mark.parametrize(("turns", "extent"), [(0, (30, 20)), (1, (20, 30)), (2, (30, 20)), (3, (20, 30))])
def test_each_quarter_turn_counts(turns: int, extent: tuple[int, int]) -> None:
    """A property `irot` of one to three of them."""
    whole = bytearray(real("turned_20x30.avif"))
    whole[whole.index(b"irot") + 4] = turns
    assert extent_of(bytes(whole)) == extent


def test_the_picture_that_is_shown_counts_and_no_other() -> None:
    """Of several sizes in a file that of the first item; a crop that leaves nothing is none."""
    sizes = [full_box(b"ispe", struct.pack(">II", *size)) for size in [(640, 480), (64, 48)]]
    crop = box(b"clap", struct.pack(">8I", 40, 1, 0, 1, 0, 1, 0, 1))
    owners = full_box(b"ipma", struct.pack(">IHBBHBBB", 2, 1, 1, 1, 2, 2, 2, 0x83))
    properties = box(b"iprp", box(b"ipco", *sizes, crop), owners)
    for item, extent in [(1, (640, 480)), (2, (40, 48))]:
        meta = full_box(b"meta", full_box(b"hdlr", bytes(20)), full_box(b"pitm", struct.pack(">H", item)), properties)
        assert extent_of(box(b"ftyp", b"avif\0\0\0\0avif") + meta) == extent


# AVIF and HEIC


@pytest.mark.parametrize("major", [b"avif", b"mif1", b"msf1", b"miaf", b"MA1B", b"avis"])
@pytest.mark.parametrize("file", ["avif", "heic"])
def test_the_coding_decides_and_not_the_first_brand(file: str, major: bytes) -> None:
    """Writers name their files after any standard that these keep to."""
    whole = picture("AVIF") if file == "avif" else real("odd_31x21.heic")
    assert kind_of(whole[:8] + major + whole[12:]).content_type == f"image/{file}"


def test_a_picture_whose_coding_nobody_knows_is_heif() -> None:
    """Its container is one, its size is there."""
    whole = picture("AVIF").replace(b"av01", b"zz01").replace(b"avif", b"mif1").replace(b"MA1B", b"mif1")
    assert kind_of(whole).content_type == "image/heif"
    assert extent_of(whole) == (37, 21)


@pytest.mark.parametrize("whole", [picture("AVIF"), real("odd_31x21.heic"), real("turned_20x30.avif")])
def test_avif_and_heic_cut_anywhere_are_found(whole: bytes) -> None:
    """At every byte, also where the box of the pixels has no length."""
    at = whole.rindex(b"mdat") - 4
    for content in [whole, whole[:at] + bytes(4) + whole[at + 4 :]]:
        assert extent_of(content) == extent_of(whole)
        for length in range(24, len(content)):
            with pytest.raises(EndsEarlyError):
                kind_of(content[:length])


# Behind the end


WHOLE = {
    "png": picture("PNG"),
    "jpeg": picture("JPEG"),
    "gif": picture("GIF"),
    "webp": picture("WEBP"),
    "avif": picture("AVIF"),
    "heic": real("odd_31x21.heic"),
    "webp without a length": with_length(picture("WEBP"), 0),
}


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 5, b"\0" * 4000, b"\n", b"SEFT tail of a phone", bytes(range(256))])
@pytest.mark.parametrize("name", WHOLE)
def test_bytes_behind_the_end_do_no_harm(name: str, tail: bytes) -> None:
    """Zeros, lines, notes of cameras."""
    assert extent_of(WHOLE[name] + tail) == extent_of(WHOLE[name])


# WebP


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": b"Exif\0\0"}], ids=str)
def test_a_webp_without_a_length_is_as_long_as_its_chunks(options: dict[str, Any], length: int) -> None:
    """A writer that could not go back left it open; a cut file is found all the same."""
    whole = with_length(picture("WEBP", **options), length)
    assert extent_of(whole) == (37, 21)
    for share in (0.1, 0.3, 0.6, 0.9):
        with pytest.raises(EndsEarlyError):
            kind_of(whole[: int((len(whole) - 40) * share)])


def test_an_animated_webp_is_known_by_its_canvas() -> None:
    """And cut at every share, with and without a length."""
    frames = [Image.effect_noise((37, 21), 90).convert("RGB") for _ in range(3)]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    whole = file.getvalue()
    assert extent_of(whole) == extent_of(with_length(whole, 0)) == (37, 21)
    with pytest.raises(EndsEarlyError):
        kind_of(with_length(whole, 0)[:-10])


def test_a_webp_without_a_picture_holds_none() -> None:
    """Only a head, and a profile."""
    with pytest.raises(BadMediaError, match="no picture"):
        kind_of(riff((b"VP8X", bytes(10)), (b"ICCP", b"profile")))


# GIF


def gif(*blocks: bytes, size: tuple[int, int] = (37, 21)) -> bytes:
    """A GIF of these blocks."""
    return b"GIF89a" + struct.pack("<HHBBB", *size, 0, 0, 0) + b"".join(blocks) + b"\x3b"


def frame(data: bytes, size: tuple[int, int] = (37, 21)) -> bytes:
    """A picture of a GIF whose data come in pieces of 255 bytes."""
    pieces = [bytes([len(data[at : at + 255])]) + data[at : at + 255] for at in range(0, len(data), 255)]
    return b"\x2c" + struct.pack("<HHHHB", 0, 0, *size, 0) + b"\x08" + b"".join(pieces) + b"\0"


class Repeated(io.RawIOBase):
    """A file that holds a head, then one block many times, then a tail; nothing of it lies in memory."""

    def __init__(self, head: bytes, block: bytes, count: int, tail: bytes) -> None:
        self._head, self._block, self._tail, self._at = head, block, tail, 0
        self._blocks_end = len(head) + len(block) * count
        self.size_bytes = self._blocks_end + len(tail)

    def seek(self, offset: int, whence: int = 0) -> int:
        assert whence == 0
        self._at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        head = self._head[self._at : self._at + size]
        at = self._at + len(head)
        skipped = (at - len(self._head)) % len(self._block)
        wanted = max(min(size - len(head), self._blocks_end - at), 0)
        blocks = (self._block * (wanted // len(self._block) + 2))[skipped : skipped + wanted]
        at += wanted
        tail = self._tail[at - self._blocks_end :][: size - len(head) - wanted] if at >= self._blocks_end else b""
        self._at = at + len(tail)
        return head + blocks + tail


@pytest.mark.parametrize("mebibytes", [1, 244, 300, 511])
def test_a_large_gif_is_taken(mebibytes: int) -> None:
    """Its data come in pieces of 255 bytes, of which there may be as many as fit."""
    whole = gif(frame(b""))
    head, tail = whole[:-2], whole[-2:]
    file = Repeated(head, b"\xff" + bytes(range(1, 256)), mebibytes * 4096, tail)
    kind = identify(cast("IO[bytes]", file), file.size_bytes)
    assert (kind.ext, kind.width, kind.height, kind.warning) == ("gif", 37, 21, "")


def test_a_gif_of_very_many_pieces_is_stored_with_a_warning() -> None:
    """Reading them all would keep a worker busy."""
    crumbs = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x08" + b"\1\1" * 3_000_000 + b"\0"
    kind = kind_of(gif(crumbs))
    assert (kind.ext, kind.width) == ("gif", None)
    assert "too many pieces" in kind.warning


def test_a_gif_without_a_screen_is_as_large_as_its_first_picture() -> None:
    """As browsers show it; zero bytes between its blocks are passed over."""
    assert extent_of(gif(frame(b"x", (9, 5)), b"\0\0", frame(b"x", (4, 4)), size=(0, 0))) == (9, 5)


def test_a_gif_without_a_picture_holds_none() -> None:
    """Only a comment."""
    with pytest.raises(BadMediaError, match="no picture"):
        kind_of(gif(b"\x21\xfe\x02hi\0"))
