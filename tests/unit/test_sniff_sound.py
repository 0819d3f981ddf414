"""Sound alone: one decision for all containers."""

from __future__ import annotations

import pytest

from bide.errors import BadMediaError
from bide.providers.offering import PICTURES, MediaKind
from tests.kinds import wav
from tests.media import kind_of, real, webm


@pytest.mark.parametrize(
    ("content", "content_type", "ext"),
    [
        (real("audio_only.mp4"), "audio/mp4", "m4a"),
        (real("audio_only.mp4").replace(b"isom", b"qt  "), "audio/mp4", "m4a"),
        (real("audio_only.webm"), "audio/webm", "webm"),
        (real("audio_only.webm").replace(b"webm", b"mska"), "audio/x-matroska", "mka"),
        (webm(b"", kind=2), "audio/webm", "webm"),
        (wav(), "audio/wav", "wav"),
        (real("tone.mp3"), "audio/mpeg", "mp3"),
        (b"\xff\xfb\x90\x64" + bytes(413), "audio/mpeg", "mp3"),
        (real("tone.aac"), "audio/aac", "aac"),
        (real("tone.ogg"), "audio/ogg", "ogg"),
        (real("tone.flac"), "audio/flac", "flac"),
    ],
)
def test_sound_alone_is_no_video_in_any_container(content: bytes, content_type: str, ext: str) -> None:
    """An output that its adapter declares as sound is taken."""
    with pytest.raises(BadMediaError, match="holds no video, only sound"):
        kind_of(content)
    kind = kind_of(content, kinds=PICTURES | {MediaKind.AUDIO})
    assert (kind.content_type, kind.ext, kind.width) == (content_type, ext, None)


def test_subtitles_alone_are_no_video() -> None:
    """Neither pictures nor sound, and not taken as sound."""
    content = webm(b"", kind=17)
    with pytest.raises(BadMediaError, match="holds no video"):
        kind_of(content, kinds=PICTURES | {MediaKind.AUDIO})
