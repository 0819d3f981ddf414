"""What is no picture or video that bide takes is named, and what nobody can name is not thrown away."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest

from bide.errors import BadMediaError
from tests.media import kind_of, picture, png, real
from workers.io.sniff import Kind

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'

NOT_TAKEN = {
    "TIFF": [picture("TIFF"), b"MM\0*" + bytes(40), b"II+\0\x08\0\0\0" + bytes(40)],
    "BMP": [picture("BMP"), b"BM" + bytes(12) + b"\x7c\0\0\0" + bytes(200)],
    "SVG": [
        SVG,
        b"\xef\xbb\xbf\n<?xml version='1.0'?>\n<!-- drawn <by> hand -->\n" + SVG,
        b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x">' + SVG,
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x "y">]>' + SVG,
        b"\xff\xfe" + SVG.decode().encode("utf-16-le"),
        b"<svg:svg xmlns:svg='x'/>",
    ],
    "JPEG XL": [b"\xff\x0a" + bytes(range(40)), b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40)],
    "AVI": [b"RIFF\0\0\0\0AVI LIST" + bytes(40)],
    "MPEG-TS": [
        (b"G" + b"\1" * 187) * 4,
        (b"\1\2\3\4G" + b"\1" * 187) * 4,
        (b"G" + b"\1" * 203) * 4,
    ],
}


@pytest.mark.parametrize(("name", "content"), [(name, each) for name, all_ in NOT_TAKEN.items() for each in all_])
def test_formats_that_are_not_taken_are_named(name: str, content: bytes) -> None:
    """And the message says where it stands what is taken."""
    with pytest.raises(BadMediaError, match=f"{name} .*not taken"):
        kind_of(content)


NO_MEDIA = {
    "playlist": [
        b"#EXTM3U\n#EXT-X-VERSION:3\n",
        b"\xef\xbb\xbf\r\n#EXTM3U\n",
        b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">',
        b"[playlist]\nFile1=a.mp4",
        b"<SmoothStreamingMedia/>",
        b"<asx version='3.0'>",
    ],
    "HTML or XML": [
        b"<!DOCTYPE html><html>error</html>",
        b"<!-- an edge -->\n<HTML>",
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        b"<!--",
        "<html>\u00fcberlastet".encode("latin-1"),
        "<html>".encode("utf-16"),
    ],
    "JSON": [b'{"error": "expired"}', b"[]", b"  \n[1]", b'\xef\xbb\xbf{"a": 1}'],
    "text": [
        *(b"Get free credits", b"ID3 tags are missing", b"DDS is down", b"FLV\tno", b"FORM not found", b"RIFFraff"),
        b"Service Unavailable",
        b"iVBORw0KGgoAAAANSUhEUg",
        b"a,b\n1,2\n",
        "\u9519\u8bef".encode(),
        b"0",
    ],
    "nothing": [b""],
    "ZIP": [b"PK\3\4" + bytes(30)],
    "gzip": [b"\x1f\x8b\x08" + bytes(30)],
    "PDF": [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n\0"],
    "unknown kind": [b"\0" * 100, b"\xff" * 5000, b"\1\2\3", b"\0\0\0\x18"],
}


@pytest.mark.parametrize(("name", "content"), [(name, each) for name, all_ in NO_MEDIA.items() for each in all_])
def test_what_is_surely_no_media_is_refused_by_name(name: str, content: bytes) -> None:
    """The message says what came instead."""
    with pytest.raises(BadMediaError, match=f"neither a picture nor a video but .*{name}"):
        kind_of(content)


def test_a_prologue_without_end_is_read_in_no_time() -> None:
    """What may stand in a declaration can be read in one way only."""
    with pytest.raises(BadMediaError, match="HTML or XML"):
        kind_of(b"<!DOCTYPE svg " + b"[]" * 3000)


UNREAD = {
    "image/jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40),
    "image/vnd.adobe.photoshop": b"8BPS\0\1" + bytes(40),
    "image/x-icon": b"\0\0\1\0\1\0" + bytes(40),
    "image/vnd.radiance": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 2\n\0\1\2\3",
    "video/x-flv": b"FLV\1\1\0\0\0\x09" + bytes(40),
    "video/x-ms-asf": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(40),
    "video/ogg": b"OggS\0\2" + bytes(22) + b"\x01\x2a\x80theora" + bytes(30),
    "video/mpeg": b"\0\0\1\xba" + bytes(40),
    "application/octet-stream": random.Random(7).randbytes(500),
}


@pytest.mark.parametrize("content_type", UNREAD)
def test_what_can_not_be_judged_is_stored_with_a_warning(content_type: str) -> None:
    """A format that bide has no reader for, and a file that nobody can name: no size, and no word about its end."""
    kind = kind_of(UNREAD[content_type])
    assert (kind.content_type, kind.width, kind.height) == (content_type, None, None)
    assert kind.warning.endswith("could not be checked: bide does not read this format")


def test_warnings_are_for_people() -> None:
    """Two files of one kind are of one kind, whatever their warnings."""
    assert Kind("image/png", "png", warning="a") == Kind("image/png", "png")


WHOLE = [
    *(picture(kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "AVIF")),
    png(width=9, height=9, interlaced=1),
    *map(real, ("odd_31x21.heic", "index_first.mp4", "fragments.mp4", "live.webm", "apple_meta.mp4")),
]


@pytest.mark.parametrize("seed", range(20))
def test_no_bytes_make_a_reader_fail(seed: int) -> None:
    """Files changed at random are whole, refused or can't be judged. No reader raises anything else."""
    chance = random.Random(seed)
    for _ in range(100):
        content = bytearray(chance.choice(WHOLE))
        for _ in range(chance.choice((1, 2, 9))):
            at = chance.randrange(min(len(content), chance.choice((40, 400, 40_000))))
            content[at : at + chance.choice((0, 1, 4))] = chance.choice(
                (b"\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\1", chance.randbytes(4), b"")
            )
        warning = ""
        with suppress(BadMediaError):
            warning = kind_of(bytes(content)).warning
        assert "reader failed" not in warning, bytes(content)
