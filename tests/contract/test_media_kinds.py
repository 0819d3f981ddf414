"""Downloads and inline outputs of other kinds than pictures, over real connections."""

from __future__ import annotations

import asyncio
import gzip
from base64 import b64encode

import pytest

from bide.errors import BadMediaError
from bide.providers.base import Media, MediaKind
from tests.contract.media_fetch import PNG, always, client_of
from tests.contract.web import serving
from tests.kinds import JSON, WHOLE, wav
from workers.io.media import Fetched, download

ALL = frozenset(MediaKind)


def fetch(content: bytes, *kinds: MediaKind, role: str = "file", inline: bool = False, **headers: str) -> Fetched:
    """What comes of an output that may be of these kinds."""
    labels = {name.replace("_", "-"): value for name, value in headers.items()}

    async def main() -> Fetched:
        async with serving(always(content, headers=labels)) as host, client_of() as client:
            media = Media(role, content=content) if inline else Media(role, f"http://{host}/0")
            declared = frozenset(kinds) or ALL
            return await download(client, media, max_bytes=10_000_000, allowed_hosts=[host], kinds=declared)

    return asyncio.run(main())


@pytest.mark.parametrize("name", ["GLB", "WAV", "safetensors", "JSON", "packed TAR"])
@pytest.mark.parametrize("inline", [False, True], ids=["fetched", "inline"])
def test_a_declared_kind_comes_as_it_is(name: str, inline: bool) -> None:
    """Whatever its label says."""
    kind, content, content_type, ext = WHOLE[name]
    with fetch(content, kind, inline=inline, Content_Encoding="gzip", Content_Type="text/html") as file:
        assert (file.read(), file.content_type, file.ext) == (content, content_type, ext)


def test_a_wrapping_is_undone_where_it_is_no_declared_kind() -> None:
    """A gzip of sound where archives are not declared, and base64 of a picture where text is not."""
    with fetch(gzip.compress(wav()), MediaKind.AUDIO) as file:
        assert file.content_type == "audio/wav"
    with fetch(gzip.compress(JSON), MediaKind.TEXT, Content_Encoding="gzip") as file:
        assert (file.content_type, file.read()) == ("application/json", JSON)
    text = b64encode(PNG)
    for kinds, content_type in (([MediaKind.IMAGE], "image/png"), ([MediaKind.IMAGE, MediaKind.TEXT], "text/plain")):
        with fetch(text, *kinds) as file:
            assert file.content_type == content_type


@pytest.mark.parametrize("text", [b"<!DOCTYPE html><p>a page</p>", b'{"half": [1, 2', b"<think>no", JSON, b"#EXTM3U"])
def test_a_text_in_an_answer_is_what_the_model_wrote(text: bytes) -> None:
    """Half a JSON and a page are paid for; a page is stored as plain text, which no browser runs."""
    with fetch(text, role="text", inline=True) as file:
        assert (file.read(), file.content_type) == (text, "application/json" if text == JSON else "text/plain")
        assert file.warning == ""
    for content in (text, b"") if text.startswith((b"<!", b"{")) and text != JSON else (b"",):
        with pytest.raises(BadMediaError):
            fetch(content, role="text", inline=not content)
    with pytest.raises(BadMediaError):
        fetch(text, MediaKind.AUDIO, role="text", inline=True)
