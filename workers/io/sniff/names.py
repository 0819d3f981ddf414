"""By their first bytes: which files are read, which are stored unread, and which are no media or not taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from bide.errors import BadMediaError
from bide.providers.offering import PICTURES, MediaKind
from workers.io.sniff import boxed, flac, gif, jpeg, matroska, meshes, ogg, others, png, riff, sound, text, webp
from workers.io.sniff.brands import brand_of, brands_of
from workers.io.sniff.form import Form, called, media_of, none_of
from workers.io.sniff.kind import Kind

T = TypeVar("T")

#: How much of a file `form_of` wants to see [bytes].
HEAD_BYTES = 4096

#: A binary file that is shorter is no media [bytes]: the smallest GIF that shows something has 26.
_LEAST_BYTES = 20


#: Formats with a reader, by how their files begin.
_READ = {
    b"\x89PNG\r\n\x1a\n": Form("PNG", "image/png", "png", png.read),
    b"GIF87a": Form("GIF", "image/gif", "gif", gif.read),
    b"GIF89a": Form("GIF", "image/gif", "gif", gif.read),
    b"\x1a\x45\xdf\xa3": Form("MKV", "video/x-matroska", "mkv", matroska.read),
}

#: Readers of formats that may hold one thing or another.
_CONTAINERS = (boxed.read, matroska.read)

#: Formats of which text might have the beginning. Those without a reader are stored with a warning.
_OTHERS = {
    b"\0\0\0\x0cjP  \r\n\x87\n": Form("JPEG 2000", "image/jp2", "jp2"),
    b"\xff\x4f\xff\x51": Form("JPEG 2000", "image/jp2", "j2k"),
    b"8BPS": Form("PSD", "image/vnd.adobe.photoshop", "psd"),
    b"\0\0\1\0": Form("ICO", "image/x-icon", "ico"),
    b"\x76\x2f\x31\x01": Form("OpenEXR", "image/x-exr", "exr"),
    b"#?RADIANCE": Form("Radiance HDR", "image/vnd.radiance", "hdr"),
    b"DDS ": Form("DDS", "image/vnd-ms.dds", "dds"),
    b"qoif": Form("QOI", "image/qoi", "qoi"),
    b"FLV\1": Form("FLV", "video/x-flv", "flv"),
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": Form("Windows Media", "video/x-ms-asf", "asf"),
    b"\0\0\1\xba": Form("MPEG", "video/mpeg", "mpg"),
    b"\0\0\1\xb3": Form("MPEG", "video/mpeg", "mpg"),
    b"ID3": Form("MP3", "audio/mpeg", "mp3", sound.read),
    b"fLaC": Form("FLAC", "audio/flac", "flac", flac.read),
    b"MThd": Form("MIDI", "audio/midi", "mid"),
    b"#!AMR": Form("AMR", "audio/amr", "amr"),
    b"caff": Form("CAF", "audio/x-caf", "caf"),
}

#: Formats that bide knows, and does not take: docs/decisions.md says why.
_NOT_TAKEN = {
    b"II*\0": "a TIFF picture",
    b"MM\0*": "a TIFF picture",
    b"II+\0": "a TIFF picture",
    b"MM\0+": "a TIFF picture",
    b"\xff\x0a": "a JPEG XL picture",
    b"\0\0\0\x0cJXL \r\n\x87\n": "a JPEG XL picture",
}

#: Files that hold no media, or hide them.
_NO_MEDIA = {
    b"%PDF": "an unknown kind of file: a PDF document",
    b"PK\3\4": "a ZIP archive",
    b"PK\5\6": "an empty ZIP archive",
    b"\x1f\x8b": "packed by gzip",
    b"\x28\xb5\x2f\xfd": "packed by zstd",
    b"BZh": "packed by bzip2",
    b"\xfd7zXZ\0": "packed by xz",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"\x7fELF": "a program",
}

#: Lengths of the second head of a BMP, by which it differs from other files that begin with "BM" [bytes].
_BMP_HEADS = (12, 16, 40, 52, 56, 64, 108, 124)

#: How far apart the packets of MPEG-TS begin, and how many bytes may stand before each [bytes].
_PACKETS = ((188, 0), (192, 4), (204, 0))


def form_of(head: bytes, size_bytes: int, kinds: frozenset[MediaKind] = PICTURES) -> Form:
    """The format of the file that begins so; raises `BadMediaError` for what is none of the kinds, or not taken."""
    form = _signed(head) or _beyond_pictures(head, size_bytes, kinds)
    if form is None:
        if what := _no_media(head):
            raise BadMediaError(f"{none_of(kinds)} but {what}")
        if name := _not_taken(head):
            raise BadMediaError(f"{name}, which is not taken: see docs/formats.md for what is")
        form = _known_by_more(head) or _unmarked(head, size_bytes, kinds) or _unknown(head, size_bytes, kinds)
    if form.read not in _CONTAINERS:
        _check_declared(form, kinds)
    return form


def check_contents(form: Form, kind: Kind, kinds: frozenset[MediaKind]) -> None:
    """Raise `BadMediaError` where a container that was read holds what is none of the kinds."""
    if form.read in _CONTAINERS and not kind.warning:
        _check_declared(form._replace(is_a=media_of(kind.content_type)), kinds)


def _check_declared(form: Form, kinds: frozenset[MediaKind]) -> None:
    if form.media is MediaKind.AUDIO and MediaKind.AUDIO not in kinds and MediaKind.VIDEO in kinds:
        raise BadMediaError(f"the {form.name} holds no video, only sound")
    if form.media and form.media not in kinds:
        raise BadMediaError(f"{none_of(kinds)} but {called(form)}")


def _beyond_pictures(head: bytes, size_bytes: int, kinds: frozenset[MediaKind]) -> Form | None:
    """A format of `others`, a declared one before all; not asked where only pictures and videos are declared."""
    found = [] if kinds <= PICTURES or not head else list(others.forms(head, size_bytes))
    undeclared = next((form for form in found[:1] if form.media is not MediaKind.TEXT), None)
    return next((form for form in found if form.media in kinds), undeclared)


def _signed(head: bytes) -> Form | None:
    """A format with a signature that no text begins with."""
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Form("WebP", "image/webp", "webp", webp.read)
    if head.startswith(b"\xff\xd8") and head[2:].lstrip(b"\0")[:1] == b"\xff":
        return Form("JPEG", "image/jpeg", "jpg", jpeg.read)
    if head.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in head[:64]:
        return Form("WebM", "video/webm", "webm", matroska.read)
    return _starting(_READ, head)


def _known_by_more(head: bytes) -> Form | None:
    """A format that is known by more than its beginning, or whose beginning might be that of a text."""
    if head[4:8] in boxed.FIRST_BOXES:
        return _boxed(head)
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return Form("WAV", "audio/wav", "wav", riff.read_wav)
    if head.startswith(b"FORM") and head[8:12] in (b"AIFF", b"AIFC"):
        return Form("AIFF", "audio/aiff", "aiff", riff.read_aiff)
    if head.startswith(b"OggS"):
        video = b"theora" in head[:256]
        return Form("Ogg", "video/ogg", "ogv") if video else Form("Ogg", "audio/ogg", "ogg", ogg.read)
    return _starting(_OTHERS, head) or _framed_sound(head)


def _starting(known: Mapping[bytes, T], head: bytes) -> T | None:
    return next((found for signature, found in known.items() if head.startswith(signature)), None)


def _boxed(head: bytes) -> Form:
    length = int.from_bytes(head[:4], "big")
    brands = brands_of(head[8:length]) if head[4:8] in (b"ftyp", b"styp") else ()
    brand = brand_of(brands)
    return Form(brand.name, brand.content_type, brand.ext, boxed.read)


def _framed_sound(head: bytes) -> Form | None:
    """MP3 and AAC without a head of their own: frames, by their first."""
    if sound.is_aac(head):
        return Form("AAC", "audio/aac", "aac", sound.read)
    return Form("MP3", "audio/mpeg", "mp3", sound.read) if sound.is_mp3(head) else None


def _not_taken(head: bytes) -> str | None:
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "an AVI video"
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADS:
        return "a BMP picture"
    if any(_in_packets(head, *packets) for packets in _PACKETS):
        return "an MPEG-TS video"
    return _starting(_NOT_TAKEN, head)


def _in_packets(head: bytes, step: int, first: int) -> bool:
    """Whether at least two packets begin where they must."""
    begins = head[first::step]
    return len(begins) > 1 and set(begins) == {0x47}


def _no_media(head: bytes) -> str | None:
    return (text.described(head) or _starting(_NO_MEDIA, head)) if head else "nothing (0 bytes)"


def _unmarked(head: bytes, size_bytes: int, kinds: frozenset[MediaKind]) -> Form | None:
    """A binary STL, which has no mark; not looked for where only pictures and videos are declared."""
    if not kinds <= PICTURES and meshes.is_stl(head, size_bytes):
        return Form("STL", "model/stl", "stl", meshes.read_stl)
    return None


def _unknown(head: bytes, size_bytes: int, kinds: frozenset[MediaKind]) -> Form:
    """The form of a file of no known format; raises `BadMediaError` where it can hold nothing."""
    if len(set(head)) == 1 or size_bytes < _LEAST_BYTES:
        begins = f"{size_bytes} bytes that begin with {head[:8].hex(' ')}"
        raise BadMediaError(f"{none_of(kinds)} but an unknown kind of file: {begins}")
    return Form(f"file of an unknown format (it starts with {head[:8].hex(' ')})", "application/octet-stream", "bin")
