"""The sandbox's films: the boxes of the MP4 are walked, and every frame is found where the tables say."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import pytest
from PIL import Image

from sandbox.padding import pad
from sandbox.video import FRAMES, HEIGHT, WIDTH, Reel, film, long_film, mux

_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl"}


def boxes(content: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the payload of each box; fails where sizes do not add up."""
    end = len(content) if end is None else end
    while start < end:
        size, kind = struct.unpack_from(">I4s", content, start)
        header = 8
        if size == 1:
            (size,), header = struct.unpack_from(">Q", content, start + 8), 16
        assert size >= header
        assert start + size <= end
        yield kind, start + header, start + size
        start += size
    assert start == end


def tree(content: bytes, start: int = 0, end: int | None = None) -> dict[bytes, bytes]:
    """Every box of the file by its kind; each occurs once in these files."""
    found: dict[bytes, bytes] = {}
    for kind, inner, after in boxes(content, start, end):
        found[kind] = content[inner:after]
        if kind in _CONTAINERS:
            found |= tree(content, inner, after)
    return found


def frames_of(content: bytes) -> list[bytes]:
    """The frames as a player finds them: by stco and stsz."""
    found = tree(content)
    (count,) = struct.unpack_from(">8xI", found[b"stsz"])
    sizes = struct.unpack_from(f">{count}I", found[b"stsz"], 12)
    (offset,) = struct.unpack_from(">8xI", found[b"stco"])
    frames = []
    for size in sizes:
        frames.append(content[offset : offset + size])
        offset += size
    return frames


@pytest.fixture(scope="module")
def content() -> bytes:
    """One film, drawn once for all tests."""
    return film("a red fox")


def test_the_boxes_stand_in_order(content: bytes) -> None:
    """File type, then the header, then the frames, and nothing else."""
    assert [kind for kind, _, _ in boxes(content)] == [b"ftyp", b"moov", b"mdat"]


def test_every_box_a_player_needs_is_there(content: bytes) -> None:
    """All boxes that ISO 14496-12 demands of a file with one video track."""
    needed = {b"mvhd", b"tkhd", b"mdhd", b"hdlr", b"vmhd", b"dref", b"stsd", b"stts", b"stsc", b"stsz", b"stco"}

    assert needed <= tree(content).keys()


def test_the_tables_lead_to_every_frame(content: bytes) -> None:
    """Each frame found by stco and stsz is a whole JPEG of the track's size."""
    frames = frames_of(content)

    assert len(frames) == FRAMES
    for frame in frames:
        picture = Image.open(io.BytesIO(frame))
        picture.load()
        assert (picture.format, picture.size) == ("JPEG", (WIDTH, HEIGHT))


def test_the_frames_fill_the_media_box_exactly(content: bytes) -> None:
    """No byte of the media box belongs to no frame."""
    assert sum(map(len, frames_of(content))) == len(tree(content)[b"mdat"])


def test_the_film_moves(content: bytes) -> None:
    """No two frames are the same."""
    assert len(set(frames_of(content))) == FRAMES


def test_the_durations_agree(content: bytes) -> None:
    """Track, media and movie last as long as the samples do together, on one time scale."""
    found = tree(content)
    (count, tick) = struct.unpack_from(">8xII", found[b"stts"])
    movie_scale, movie = struct.unpack_from(">12xII", found[b"mvhd"])
    media_scale, media = struct.unpack_from(">12xII", found[b"mdhd"])
    (track,) = struct.unpack_from(">20xI", found[b"tkhd"])

    assert movie_scale == media_scale
    assert count == FRAMES
    assert movie == media == track == count * tick


def test_the_sample_entry_says_jpeg(content: bytes) -> None:
    """The entry is mp4v with object type 0x6C, and its size is that of the frames."""
    entry = tree(content)[b"stsd"][8:]
    size, kind = struct.unpack_from(">I4s", entry)
    width, height = struct.unpack_from(">HH", entry, 32)

    assert (size, kind) == (len(entry), b"mp4v")
    assert (width, height) == (WIDTH, HEIGHT)
    descriptor = entry[entry.index(b"esds") + 8 :]
    assert descriptor[0] == 3
    assert descriptor[1] == len(descriptor) - 2
    assert descriptor[5] == 4
    assert descriptor[7] == 0x6C


def test_a_padded_film_keeps_its_frames(content: bytes) -> None:
    """Padding adds a free box at the end, to the wanted size."""
    padded = pad(content, "mp4", 1_000_000)

    assert len(padded) == 1_000_000
    assert [kind for kind, _, _ in boxes(padded)][-1] == b"free"
    assert frames_of(padded) == frames_of(content)


@pytest.mark.parametrize("wanted", [50_000, 3_000_001])
def test_a_long_film_has_the_wanted_size(wanted: int) -> None:
    """Its pieces add up to the wanted and announced size, and it is a film."""
    announced, pieces = long_film(wanted)
    content = b"".join(pieces)

    assert announced == wanted == len(content)
    assert [kind for kind, _, _ in boxes(content)] == [b"ftyp", b"moov", b"mdat"]
    assert all(frame.startswith(b"\xff\xd8") for frame in frames_of(content))


def test_a_film_over_4_gib_uses_the_long_box_size() -> None:
    """Its media box announces the size in 64 bits, and only small pieces are made."""
    announced, pieces = long_film(5 * 2**30)
    start, second = next(pieces), next(pieces)

    mdat = start.index(b"mdat")
    assert struct.unpack_from(">I", start, mdat - 4) == (1,)
    assert struct.unpack_from(">Q", start, mdat + 4) == (announced - mdat + 4,)
    assert announced == 5 * 2**30
    assert len(second) <= 64 * 1024


def test_frames_of_any_size_are_muxed() -> None:
    """The muxer takes frames as they are."""
    frames = [b"\xff\xd8one\xff\xd9", b"\xff\xd8another\xff\xd9"]

    assert frames_of(mux(Reel(frames, 16, 16))) == frames
