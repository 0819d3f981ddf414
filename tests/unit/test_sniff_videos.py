"""Videos: whole ones of every make are taken with the size at which they are shown, cut ones are found."""

from __future__ import annotations

import struct

import pytest

from tests.media import box, element, extent_of, full_box, kind_of, real, webm
from workers.io.sniff import EndsEarlyError

MP4 = ["apple_meta.mp4", "index_first.mp4", "mdat0.mp4", "fragments.mp4", "fragments_with_index.mp4"]
WEBM = ["live.webm", "live_with_duration.webm"]

#: Turns of a video, as the matrix of its track has them: a, b, c and d in units of 1/65536.
TURNS = {
    "upright": ((1, 0, 0, 1), (64, 48)),
    "a quarter": ((0, 1, -1, 0), (48, 64)),
    "a half": ((-1, 0, 0, -1), (64, 48)),
    "three quarters": ((0, -1, 1, 0), (48, 64)),
    "a mirror": ((-1, 0, 0, 1), (64, 48)),
    "nothing": ((0, 0, 0, 0), (64, 48)),
}


def patched(content: bytes, name: bytes, offset: int, value: bytes) -> bytes:
    """A file with other bytes so far behind the name of a box."""
    at = content.index(name) + len(name) + offset
    return content[:at] + value + content[at + len(value) :]


def matrix(a: int, b: int, c: int, d: int) -> bytes:
    """A matrix that turns."""
    fixed = [value * 65536 & 0xFFFFFFFF for value in (a, b, 0, c, d)]
    return struct.pack(">9I", *fixed, 0, 0, 0, 0x40000000)


# Whole and cut


@pytest.mark.parametrize("name", [*MP4, *WEBM])
def test_whole_videos_are_taken(name: str) -> None:
    """An index before or behind the pictures, fragments, lengths left open, Apple's plain `meta`; and live."""
    kind = kind_of(real(name))
    assert (kind.ext, kind.width, kind.height, kind.warning) == (name[-4:].strip("."), 64, 48, "")


@pytest.mark.parametrize("name", ["apple_meta.mp4", "index_first.mp4", "mdat0.mp4", *WEBM])
def test_a_video_cut_anywhere_is_found(name: str) -> None:
    """At every byte: samples end by the index, clusters by their lengths, and a live video by its duration."""
    whole = real(name)
    for length in range(24, len(whole)):
        with pytest.raises(EndsEarlyError):
            kind_of(whole[:length])


def test_the_tables_find_a_cut_that_no_box_shows() -> None:
    """A box of pictures without a length, behind the index: it ends where the file does."""
    whole = real("index_first.mp4")
    at = whole.rindex(b"mdat") - 4
    without_length = whole[:at] + bytes(4) + whole[at + 4 :]
    assert extent_of(without_length) == (64, 48)
    for length in range(at, len(whole)):
        with pytest.raises(EndsEarlyError):
            kind_of(without_length[:length])


def test_an_index_without_a_length_is_cut_inside() -> None:
    """It goes on to the file's end, and one of its boxes goes further."""
    whole = real("turned_48x64.mp4")
    index = whole.index(b"moov") - 4
    content = whole[:index] + bytes(4) + whole[index + 4 :]
    assert extent_of(content) == (48, 64)
    track = content.index(b"trak") - 4
    for length in range(index + 8, track + int.from_bytes(content[track : track + 4], "big")):
        with pytest.raises(EndsEarlyError):
            kind_of(content[:length])


def test_large_offsets_are_read() -> None:
    """Tables of 64 bits, as in videos over 4 GiB."""
    whole = real("index_first.mp4")
    at = whole.index(b"stco") - 4
    count = int.from_bytes(whole[at + 12 : at + 16], "big")
    offsets = struct.unpack_from(f">{count}I", whole, at + 16)
    grown = 4 * count
    table = full_box(b"co64", struct.pack(f">I{count}Q", count, *(offset + grown for offset in offsets)))
    wide = bytearray(whole[:at] + table + whole[at + 16 + 4 * count :])
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        head = wide.index(name) - 4
        wide[head : head + 4] = struct.pack(">I", int.from_bytes(wide[head : head + 4], "big") + grown)
    assert extent_of(bytes(wide)) == (64, 48)
    with pytest.raises(EndsEarlyError):
        kind_of(bytes(wide[:-1]))


@pytest.mark.parametrize("name", ["fragments.mp4", "fragments_with_index.mp4"])
def test_fragments_cut_before_their_last_sample_are_found(name: str) -> None:
    """In a fragment's head, between head and pictures, in the pictures; also where these have no length."""
    whole = real(name)
    last = whole.rindex(b"mdat") - 4
    end = last + int.from_bytes(whole[last : last + 4], "big")
    head = whole.rindex(b"moof") + 8
    for content in [whole, whole[:last] + bytes(4) + whole[last + 4 : end]]:
        assert extent_of(content) == (64, 48)
        for length in range(head, end):
            with pytest.raises(EndsEarlyError):
                kind_of(content[:length])


def test_whole_fragments_that_are_missing_are_found_by_the_index() -> None:
    """Cut just between two fragments, the file looks whole by itself."""
    whole = real("fragments_with_index.mp4")
    with pytest.raises(EndsEarlyError):
        kind_of(whole[: whole.rindex(b"moof") - 4])


@pytest.mark.parametrize("tail", [b"\0", b"\0" * 7, b"\0" * 4000, b"\n", b"made by a phone, 2026", bytes(range(256))])
@pytest.mark.parametrize("name", [*MP4, "wide_pixels_85x48.webm", *WEBM])
def test_bytes_behind_the_end_do_no_harm(name: str, tail: bytes) -> None:
    """Zeros, lines, notes of cameras."""
    assert extent_of(real(name) + tail) == extent_of(real(name))


def test_a_video_may_begin_as_a_segment_does() -> None:
    """With `styp`, without any brand, or with one that nobody knows."""
    whole = real("index_first.mp4")
    assert kind_of(patched(whole, b"", 4, b"styp")).ext == "mp4"
    assert kind_of(patched(whole, b"", 8, b"zzzz")).ext == "mp4"
    assert kind_of(patched(whole, b"", 4, b"free")).ext == "mov"
    assert extent_of(patched(whole, b"", 4, b"styp")) == (64, 48)


def test_a_part_of_a_video_is_stored_with_a_warning() -> None:
    """Fragments without their index can't be judged; nor can a compressed one."""
    whole = real("fragments.mp4")
    part = box(b"styp", b"msdh\0\0\0\0") + whole[whole.index(b"moof") - 4 :]
    compressed = box(b"ftyp", b"qt  \0\0\0\0") + box(b"moov", box(b"cmov", bytes(20))) + box(b"mdat", bytes(9))
    for content, ext in [(part, "mp4"), (compressed, "mov")]:
        kind = kind_of(content)
        assert (kind.ext, kind.width, kind.height) == (ext, None, None)
        assert "could not be checked" in kind.warning


@pytest.mark.parametrize("flags", [1, 0], ids=["in the file", "in another"])
def test_samples_in_another_file_are_not_missed(flags: int) -> None:
    """What a reference says to lie elsewhere is no proof of a cut."""
    whole = patched(real("index_first.mp4"), b"stco", 8, b"\x7f\xff\xff\xff")
    content = patched(whole, b"url ", 0, struct.pack(">I", flags))
    if flags:
        with pytest.raises(EndsEarlyError):
            kind_of(content)
    else:
        assert extent_of(content) == (64, 48)


# As it is shown


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("header", [b"tkhd", b"mvhd"], ids=["track", "movie"])
def test_a_video_is_as_wide_as_it_is_shown(header: bytes, turn: str) -> None:
    """Turned by its track or by the whole movie."""
    terms, extent = TURNS[turn]
    content = patched(real("index_first.mp4"), header, 40 if header == b"tkhd" else 36, matrix(*terms))
    assert extent_of(content) == extent


def test_two_quarter_turns_are_a_half() -> None:
    """Movie and track are turned one after the other."""
    content = real("turned_48x64.mp4")
    assert extent_of(content) == (48, 64)
    assert extent_of(patched(content, b"mvhd", 36, matrix(0, 1, -1, 0))) == (64, 48)


def test_pixels_that_are_no_squares_are_shown_stretched() -> None:
    """By the description of the pictures, or the header of their track, or the size that a WebM asks for."""
    stretched = real("wide_pixels_85x48.mp4")
    assert extent_of(stretched) == (85, 48)
    assert extent_of(stretched.replace(b"pasp", b"free")) == (85, 48)
    assert extent_of(patched(stretched, b"tkhd", 76, struct.pack(">II", 64 << 16, 48 << 16))) == (85, 48)
    assert extent_of(real("wide_pixels_85x48.webm")) == (85, 48)


def test_a_header_without_a_size_is_made_up_for() -> None:
    """By the description of the pictures."""
    assert extent_of(patched(real("index_first.mp4"), b"tkhd", 76, bytes(8))) == (64, 48)


TRACKS = {
    "plain": ({0xB0: 64, 0xBA: 48}, (64, 48)),
    "cropped": ({0xB0: 64, 0xBA: 48, 0x54AA: 2, 0x54BB: 6, 0x54CC: 3, 0x54DD: 1}, (60, 40)),
    "in pixels": ({0xB0: 64, 0xBA: 48, 0x54B0: 128, 0x54BA: 96}, (128, 96)),
    "in proportions": ({0xB0: 64, 0xBA: 48, 0x54B0: 16, 0x54BA: 9, 0x54B2: 3}, (85, 48)),
    "in proportions, called pixels": ({0xB0: 64, 0xBA: 48, 0x54B0: 16, 0x54BA: 9}, (85, 48)),
    "in centimetres": ({0xB0: 64, 0xBA: 48, 0x54B0: 40, 0x54BA: 30, 0x54B2: 1}, (64, 48)),
    "unknown": ({0xB0: 64, 0xBA: 48, 0x54B0: 16, 0x54BA: 9, 0x54B2: 4}, (64, 48)),
}


@pytest.mark.parametrize("track", TRACKS)
def test_a_webm_says_how_it_is_shown(track: str) -> None:
    """Cropped, stretched, in pixels or in proportions."""
    values, extent = TRACKS[track]
    fields = b"".join(element(name, bytes([value])) for name, value in values.items())
    assert extent_of(webm(fields)) == extent


@pytest.mark.parametrize(
    ("degrees", "extent"), [(0.0, (64, 48)), (90.0, (48, 64)), (-90.0, (48, 64)), (180.0, (64, 48))]
)
def test_a_webm_may_be_turned(degrees: float, extent: tuple[int, int]) -> None:
    """By the roll of its projection."""
    roll = element(0x7670, element(0x7675, struct.pack(">f", degrees)))
    assert extent_of(webm(element(0xB0, b"\x40") + element(0xBA, b"\x30") + roll)) == extent


# Live


def cluster(time: int, *blocks: int, length: int | None = None) -> bytes:
    """A cluster with blocks at these times behind its own."""
    content = b"".join(element(0xA3, b"\x81" + struct.pack(">h", block) + b"\0pixels") for block in blocks)
    return element(0x1F43B675, element(0xE7, struct.pack(">H", time)) + content, length=length)


SIZE = element(0xB0, b"\x40") + element(0xBA, b"\x30")


@pytest.mark.parametrize("length", [None, -1], ids=["open clusters", "closed clusters"])
def test_a_live_webm_is_cut_in_a_block_or_a_cluster(length: int | None) -> None:
    """At every byte but those at which a block or a cluster ends."""
    clusters = [cluster(0, 0, 40, 80, length=length), cluster(120, 0, 40, 80, length=length)]
    whole = webm(SIZE, length=None, clusters=b"".join(clusters))
    assert extent_of(whole) == (64, 48)
    head = len(whole) - sum(map(len, clusters))
    taken = []
    for end in range(head, len(whole)):
        try:
            kind_of(whole[:end])
            taken.append(end)
        except EndsEarlyError:
            pass
    assert len(taken) == (5 if length is None else 1)


def test_a_live_webm_with_a_duration_is_cut_at_any_block() -> None:
    """Most of what it announces is not there; a last picture that stands longer is no cut."""
    info = element(0x1549A966, element(0x4489, struct.pack(">d", 1000.0)))
    blocks = [cluster(time, 0, 40, 80, 120, 160) for time in range(0, 1000, 200)]
    assert extent_of(webm(SIZE, length=None, clusters=info + b"".join(blocks))) == (64, 48)
    for count in (1, 2, 3, 4):
        with pytest.raises(EndsEarlyError):
            kind_of(webm(SIZE, length=None, clusters=info + b"".join(blocks[:count])))
    slides = cluster(0, 0, 300, 600)
    assert extent_of(webm(SIZE, length=None, clusters=info + slides)) == (64, 48)


def test_a_webm_of_another_making_is_stored_with_a_warning() -> None:
    """A WebM without a list of tracks has no size, and a warning."""
    head = element(0x1A45DFA3, element(0x4282, b"webm"))
    kind = kind_of(head + element(0x18538067, b"\0" * 100))
    assert (kind.content_type, kind.width) == ("video/webm", None)
    assert "could not be checked" in kind.warning
