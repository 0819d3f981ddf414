"""The pictures of a request, fetched and put into the form that its operation wants."""

from __future__ import annotations

import asyncio
import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote_to_bytes

from bide.addresses import web_address
from bide.errors import BadMediaError, InvalidRequestError, StorageError
from bide.inputs import tidied
from bide.providers.base import InputForm, Media, Upload
from bide.storage import Storage
from bide.storage_tags import put_tagged
from workers.io.http import HttpClient
from workers.io.media import Fetched, download, from_bytes

#: From a data URI its parameters and its data.
_DATA_URI = re.compile(r"data:[^;,]*((?:;[^;,]*)*),(.*)", re.DOTALL | re.IGNORECASE)

_URL_SAFE = str.maketrans("-_", "+/")


@dataclass(frozen=True)
class InputFetcher:
    """What it takes to get at the pictures of any request."""

    client: HttpClient
    storage: Storage
    max_bytes: int
    #: How long a provider may fetch an object of ours [seconds].
    url_expires_seconds: int
    #: Hosts of pictures that may lie at private addresses, see `workers.io.guard.check_url`.
    allowed_hosts: Collection[str] = ()
    #: The moment as of which addresses of our objects are signed, in UTC; None: now.
    signed_at: datetime | None = None
    #: For how long what is stored here stays [days]; None: for ever.
    retention_days: int | None = None
    #: The metadata of what is stored here.
    metadata: Mapping[str, str] = field(default_factory=dict)

    async def prepare(
        self, inputs: Mapping[str, str], form: InputForm, *, key_for: Callable[[str], str]
    ) -> dict[str, Upload]:
        """Each of `inputs` (s3://, https://, data: or bare base64) as `form` wants it.

        `key_for` gives the key for a picture that must be stored to have an address, by its file name (made from its
        content). Raises `InvalidRequestError`, naming the input, for what can't be read or is no picture;
        `DownloadError` and `StorageError` where trying again may help.
        """
        return {name: await self._prepare(name, value, form, key_for) for name, value in inputs.items()}

    async def _prepare(self, name: str, raw: str, form: InputForm, key_for: Callable[[str], str]) -> Upload:
        value = tidied(raw)
        try:
            if form is InputForm.URL:
                return Upload(name, url=await self._address(value, key_for))
            with await self._fetch(value) as picture:
                return Upload(name, content=picture.read(), content_type=picture.content_type)
        except (BadMediaError, InvalidRequestError) as error:
            raise InvalidRequestError(f"inputs.{name}: {error}") from error

    async def _address(self, value: str, key_for: Callable[[str], str]) -> str:
        """Where the provider can fetch the picture; one that came inside the request is stored first."""
        if _is_web(value):
            return _encodable(value)
        uri = value if _is_stored(value) else await self._store(value, key_for)
        return await asyncio.to_thread(
            self.storage.presign, uri, expires_seconds=self.url_expires_seconds, as_of=self.signed_at
        )

    async def _store(self, value: str, key_for: Callable[[str], str]) -> str:
        with await self._fetch(value) as picture:
            key = key_for(f"{picture.sha256[:32]}.{picture.ext}")
            await asyncio.to_thread(
                put_tagged,
                self.storage,
                key,
                picture.file,
                days=self.retention_days,
                content_type=picture.content_type,
                sha256=picture.sha256,
                metadata=self.metadata,
            )
        return self.storage.uri(key)

    async def _fetch(self, value: str) -> Fetched:
        if _is_web(value):
            media = Media(role="input", url=value)
            return _picture(
                await download(self.client, media, max_bytes=self.max_bytes, allowed_hosts=self.allowed_hosts)
            )
        return _picture(await asyncio.to_thread(self._read, value))

    def _read(self, value: str) -> Fetched:
        content = self._stored(value) if _is_stored(value) else decoded(value)
        return from_bytes(content, max_bytes=self.max_bytes)

    def _stored(self, uri: str) -> bytes:
        try:
            return self.storage.get(uri, max_bytes=self.max_bytes)
        except StorageError as error:
            if not error.permanent:
                raise
            raise InvalidRequestError(str(error)) from error


def decoded(value: str) -> bytes:
    """The bytes of a data URI or of bare base64; raises `InvalidRequestError`.

    Blanks, missing padding and the URL-safe alphabet are put right; what is wrong after that is refused.
    """
    if value[:5].lower() != "data:":
        return _from_base64(value)
    found = _DATA_URI.fullmatch(value)
    if found is None:
        raise InvalidRequestError("a data: URI without a comma")
    parameters, data = found.groups()
    content = unquote_to_bytes(data)
    return _from_base64(content.decode("latin-1")) if parameters.lower().endswith(";base64") else content


def _from_base64(text: str) -> bytes:
    compact = "".join(text.split()).translate(_URL_SAFE).rstrip("=")
    if not compact:
        raise InvalidRequestError("is empty")
    try:
        return b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequestError("neither an s3:// or https:// address, nor a data: URI, nor base64") from None


def _encodable(url: str) -> str:
    """The address, for the provider to fetch from; raises `InvalidRequestError` where no request could carry it."""
    try:
        web_address(url)
    except ValueError as error:
        raise InvalidRequestError(str(error)) from None
    return url


def _picture(fetched: Fetched) -> Fetched:
    if not fetched.content_type.startswith("image/"):
        fetched.file.close()
        raise BadMediaError(f"a picture is wanted, this is {fetched.content_type}")
    return fetched


def _is_web(value: str) -> bool:
    return value.startswith(("https://", "http://"))


def _is_stored(value: str) -> bool:
    return value.startswith("s3://")
