"""Sound alone: one decision for all containers."""

from __future__ import annotations

import pytest

from bide.errors import BadMediaError
from tests.media import kind_of, real, webm


@pytest.mark.parametrize(
    ("content", "content_type", "ext"),
    [
        (real("audio_only.mp4"), "audio/mp4", "m4a"),
        (real("audio_only.mp4").replace(b"isom", b"qt  "), "audio/mp4", "m4a"),
        (real("audio_only.webm"), "audio/webm", "webm"),
        (real("audio_only.webm").replace(b"webm", b"mska"), "audio/x-matroska", "mka"),
        (webm(b"", kind=2), "audio/webm", "webm"),
        (b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0", "audio/wav", "wav"),
        (b"ID3\4\0\0\0\0\0\0\xff\xfb\x90\0", "audio/mpeg", "mp3"),
        (b"\xff\xfb\x90\x64" + bytes(400), "audio/mpeg", "mp3"),
        (b"\xff\xf1\x50\x80" + bytes(400), "audio/aac", "aac"),
        (b"OggS\0\2" + bytes(22) + b"\x01\x13OpusHead", "audio/ogg", "ogg"),
        (b"fLaC\0\0\0\x22" + bytes(34), "audio/flac", "flac"),
    ],
)
def test_sound_alone_is_no_video_in_any_container(content: bytes, content_type: str, ext: str) -> None:
    """An output that its adapter declares as sound is taken."""
    with pytest.raises(BadMediaError, match="holds no video, only sound"):
        kind_of(content)
    kind = kind_of(content, sound=True)
    assert (kind.content_type, kind.ext, kind.width) == (content_type, ext, None)


def test_subtitles_alone_are_no_video() -> None:
    """Neither pictures nor sound, and not taken as sound."""
    content = webm(b"", kind=17)
    with pytest.raises(BadMediaError, match="holds no video"):
        kind_of(content, sound=True)
