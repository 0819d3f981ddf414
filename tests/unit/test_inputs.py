"""Pictures that come inside a request are read, recognized by their bytes, and sent as the operation wants them."""

from __future__ import annotations

import asyncio
import io
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator

import pytest
from PIL import Image

from bide.cli.jobs import _input
from bide.client.requests import checked
from bide.errors import InvalidRequestError
from bide.inputs import tidied
from bide.providers.base import InputForm, Upload
from bide.storage import Storage, StorageOptions
from workers.io.http import HttpClient
from workers.io.inputs import InputFetcher, decoded


def _picture() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((16, 9), 80).save(file, "PNG")
    return file.getvalue()


PNG = _picture()
BASE64 = b64encode(PNG).decode()


@pytest.fixture(name="fetcher")
def _fetcher() -> Iterator[InputFetcher]:
    """Nothing here is fetched from anywhere, so neither client nor store ever connects."""
    client = HttpClient()
    yield InputFetcher(client, Storage(StorageOptions("none")), max_bytes=100_000, url_expires_seconds=60)
    asyncio.run(client.aclose())


def prepare(fetcher: InputFetcher, form: InputForm, **inputs: str) -> dict[str, Upload]:
    """The uploads made of `inputs`."""
    return asyncio.run(fetcher.prepare(inputs, form, key_for=lambda name: f"in/{name}"))


@pytest.mark.parametrize(
    "value",
    [
        BASE64,
        BASE64.rstrip("="),
        "\n".join(BASE64[at : at + 76] for at in range(0, len(BASE64), 76)) + "\n",
        urlsafe_b64encode(PNG).decode(),
        f"data:image/png;base64,{BASE64}",
        f"data:;base64,{BASE64}",
        f"DATA:image/jpeg;charset=utf-8;BASE64,{BASE64}",
        "data:image/png;base64," + BASE64.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
        "data:image/png," + "".join(f"%{byte:02x}" for byte in PNG),
    ],
    ids=["plain", "unpadded", "lines", "url-safe", "data", "typeless", "mistyped", "escaped", "percent"],
)
def test_every_spelling_of_the_same_bytes_is_read(fetcher: InputFetcher, value: str) -> None:
    """Base64 in its variants and data URIs give the picture, its type taken from the bytes."""
    uploads = prepare(fetcher, InputForm.FILE, person=value)
    assert uploads == {"person": Upload("person", content=PNG, content_type="image/png")}


def test_base64_goes_out_without_prefix_or_breaks(fetcher: InputFetcher) -> None:
    """Whatever came in, the provider gets plain padded base64."""
    uploads = prepare(fetcher, InputForm.BASE64, Face=f"data:image/png;base64,\n{BASE64.rstrip('=')}")
    assert uploads["Face"].base64 == BASE64


@pytest.mark.parametrize("value", ["", "  ", "data:image/png;base64,", "data:image/png;base64", "!!!", "abc$", "AAAAA"])
def test_unreadable_text_is_refused(value: str) -> None:
    """What is no base64 after normalising is refused, not guessed at."""
    with pytest.raises(InvalidRequestError):
        decoded(value)


def test_the_bad_input_is_named_and_not_repeated(fetcher: InputFetcher) -> None:
    """The message says which input is wrong; its value may be private."""
    with pytest.raises(InvalidRequestError, match=r"^inputs\.person: ") as refused:
        prepare(fetcher, InputForm.FILE, person="c2VjcmV0!")
    assert "c2VjcmV0" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"<html></html>", "HTML"), (PNG[:-8], "ends early"), (b"\0" * 100_001, "over the limit")],
)
def test_what_is_no_whole_picture_is_refused(fetcher: InputFetcher, content: bytes, reason: str) -> None:
    """A picture that the provider could not use costs nothing when it is refused here."""
    with pytest.raises(InvalidRequestError, match=rf"inputs\.person: .*{reason}"):
        prepare(fetcher, InputForm.BASE64, person=b64encode(content).decode())


def test_a_video_is_no_picture(fetcher: InputFetcher) -> None:
    """Inputs are pictures; anything else is refused by its type."""
    webm = b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm\x18\x53\x80\x67\x01" + b"\xff" * 7
    with pytest.raises(InvalidRequestError, match=r"inputs\.person: .*video/webm"):
        prepare(fetcher, InputForm.FILE, person=b64encode(webm).decode())


def test_a_web_address_is_handed_on_where_addresses_are_wanted(fetcher: InputFetcher) -> None:
    """The provider fetches it itself; nothing is fetched here."""
    uploads = prepare(fetcher, InputForm.URL, style="https://example.com/style.png?sig=a%2Bb")
    assert uploads["style"].url == "https://example.com/style.png?sig=a%2Bb"


def test_an_inside_address_is_refused_as_input(fetcher: InputFetcher) -> None:
    """A caller can't make a worker fetch from inside."""
    with pytest.raises(InvalidRequestError, match=r"inputs\.person: 169\.254\.169\.254 is not a public address"):
        prepare(fetcher, InputForm.FILE, person="http://169.254.169.254/latest/meta-data/")


@pytest.mark.parametrize("uri", ["s3://", "s3://bucket", "s3://bucket/", "s3:///key"])
def test_an_incomplete_storage_address_is_refused(fetcher: InputFetcher, uri: str) -> None:
    """Bucket and key must both be there, in every form."""
    for form in InputForm:
        with pytest.raises(InvalidRequestError, match=r"inputs\.person: .*s3://bucket/key"):
            prepare(fetcher, form, person=uri)


@pytest.mark.parametrize(
    ("value", "tidy"),
    [
        ("HTTP://Example.com/A%2Fb?Q=%7E", "http://Example.com/A%2Fb?Q=%7E"),
        ("  https://example.com/a.png\n", "https://example.com/a.png"),
        ("\tHTTPS://example.com/a b", "https://example.com/a b"),
        (" S3://Bucket/Key ", "s3://Bucket/Key"),
        (" DATA:image/png;base64,QUJD", "data:image/png;base64,QUJD"),
        ("QUJD\n", "QUJD\n"),
        ("  ", "  "),
        ("", ""),
        ("httpx", "httpx"),
    ],
)
def test_an_address_is_taken_as_in_results(value: str, tidy: str) -> None:
    """Blanks around it and the case of its scheme do not count; all else goes out letter by letter."""
    assert tidied(value) == tidy


@pytest.mark.parametrize(
    "value", ["HTTP://example.com/A.png?Q=%2F", " http://example.com/A.png?Q=%2F", "Http://example.com/A.png?Q=%2F\n"]
)
def test_an_address_reaches_the_provider(fetcher: InputFetcher, value: str) -> None:
    """As an address, and not as base64 that can't be read."""
    uploads = prepare(fetcher, InputForm.URL, frame=value)
    assert uploads["frame"].url == "http://example.com/A.png?Q=%2F"


def test_a_client_takes_addresses_so_too() -> None:
    """Neither a path that is not there, nor too many bytes for a message."""
    long = "HTTPS://example.com/" + "a" * 40_000
    request = {"provider": "photogpt", "operation": "images.generation", "params": {"modelID": "m", "prompt": "p"}}
    parsed, _ = checked({**request, "inputs": {"a": " HTTP://example.com/a.png", "b": long}}, {}, None)
    assert parsed.inputs == {"a": "http://example.com/a.png", "b": "https" + long[5:]}
    assert _input("a", " S3://bucket/key") == "s3://bucket/key"
