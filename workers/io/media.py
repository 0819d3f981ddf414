"""Fetching a result: every address is checked, every byte counted, and what comes must be a whole picture or video."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

from bide.crashpoints import reached
from bide.errors import BadMediaError, DownloadError
from bide.polling.backoff import retry_after_seconds
from bide.providers.base import MAX_FALLBACKS, Media
from workers.io.guard import check_url
from workers.io.http import HttpClient, Reply
from workers.io.sniff import EndsEarlyError, Kind, identify

#: Up to here a file stays in memory [bytes]; a larger one goes to disk.
SPOOL_BYTES = 8 * 1024 * 1024

#: The role of an output that is taken without pictures: an adapter gives it to sound.
SOUND_ROLE = "audio"

MAX_REDIRECTS = 5

#: The answers to a signed address that has expired: S3 and Azure say 403, Google 400, others 401, 404 or 410.
STALE_STATUSES = frozenset({400, 401, 403, 404, 410})

Spool = SpooledTemporaryFile[bytes]


@dataclass(frozen=True)
class Fetched:
    """A picture or video, in a file that vanishes when it is closed; use it as a context manager."""

    file: Spool = field(repr=False)
    size: int
    sha256: str
    content_type: str
    ext: str
    width: int | None
    height: int | None
    #: Why the file could not be checked; '' for one that was, and is whole.
    warning: str = ""

    def read(self) -> bytes:
        """All of it, in memory."""
        self.file.seek(0)
        return self.file.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()


async def download(client: HttpClient, media: Media, *, max_bytes: int, allowed_hosts: Collection[str] = ()) -> Fetched:
    """Fetch one output from its address or, where that fails, from its fallbacks in order; check inline content alike.

    `allowed_hosts`: see `guard.check_url`. Raises `DownloadError` where trying again may help with any of the
    addresses, else `BadMediaError`.
    """
    sound = media.role == SOUND_ROLE
    if not media.url:
        return await asyncio.to_thread(from_bytes, media.content, max_bytes=max_bytes, sound=sound)
    troubles: list[DownloadError | BadMediaError] = []
    for url in (media.url, *media.fallback_urls[:MAX_FALLBACKS]):
        try:
            return await _fetch(client, url, max_bytes=max_bytes, allowed_hosts=allowed_hosts, sound=sound)
        except (DownloadError, BadMediaError) as trouble:
            troubles.append(trouble)
    raise next((trouble for trouble in troubles if isinstance(trouble, DownloadError)), troubles[0])


def from_bytes(content: bytes, *, max_bytes: int, sound: bool = False) -> Fetched:
    """Check inline content as a download is checked; raises `BadMediaError`. `sound`: see `identify`."""
    if len(content) > max_bytes:
        raise _over(max_bytes)
    spool = Spool(max_size=SPOOL_BYTES)
    try:
        spool.write(content)
        kind = identify(spool, len(content), sound=sound)
        return _fetched(spool, len(content), hashlib.sha256(content).hexdigest(), kind)
    except BaseException:
        spool.close()
        raise


def _fetched(spool: Spool, size: int, sha256: str, kind: Kind) -> Fetched:
    return Fetched(spool, size, sha256, kind.content_type, kind.ext, kind.width, kind.height, kind.warning)


async def _fetch(
    client: HttpClient, url: str, *, max_bytes: int, allowed_hosts: Collection[str], sound: bool
) -> Fetched:
    total_seconds = client.options.media.total_seconds
    try:
        async with asyncio.timeout(total_seconds):
            return await _follow(client, url, max_bytes=max_bytes, allowed_hosts=allowed_hosts, sound=sound)
    except (DownloadError, BadMediaError):
        raise
    except TimeoutError:
        raise DownloadError(f"the download took longer than {total_seconds:g} s") from None
    except Exception as error:
        # A gap in some parser, or this machine's disk: never a reason to leave the other addresses untried, and a paid
        # result is tried for again. No words of the error: they may quote the address.
        raise DownloadError(f"the download broke: {_kind(error)}") from error


async def _follow(
    client: HttpClient, url: str, *, max_bytes: int, allowed_hosts: Collection[str], sound: bool
) -> Fetched:
    for _ in range(MAX_REDIRECTS + 1):
        target = check_url(url, allowed_hosts=allowed_hosts)
        async with client.stream(target.url, guarded=target.guarded) as reply:
            if reply.status not in (301, 302, 303, 307, 308):
                return await _receive(reply, max_bytes, sound=sound)
            url = _redirected(target.url, reply)
    raise DownloadError(f"more than {MAX_REDIRECTS} redirects")


def _redirected(url: str, reply: Reply) -> str:
    try:
        return urljoin(url, reply.headers["location"])
    except (KeyError, ValueError):
        raise DownloadError(f"{reply.where}: HTTP {reply.status} without a usable address") from None


async def _receive(reply: Reply, max_bytes: int, *, sound: bool) -> Fetched:
    declared = _check_head(reply, max_bytes)
    spool = Spool(max_size=SPOOL_BYTES)
    try:
        size, sha256 = await _spool(reply, spool, max_bytes)
        return _fetched(spool, size, sha256, await _tell(spool, size, reply, declared, sound=sound))
    except BaseException:
        spool.close()
        raise


def _check_head(reply: Reply, max_bytes: int) -> int | None:
    """Refuse what the head alone rules out; the length it declares [bytes], if it does."""
    if reply.status != 200:
        wish = retry_after_seconds(reply.headers.get("retry-after"))
        stale = reply.status in STALE_STATUSES
        raise DownloadError(f"{reply.where}: HTTP {reply.status}", after_seconds=wish, stale=stale)
    encoding = reply.headers.get("content-encoding", "identity")
    if encoding.lower() not in ("identity", ""):
        raise BadMediaError(f"the answer is packed ({encoding}), which was not asked for")
    declared = _declared_bytes(reply.headers)
    if declared is not None and declared > max_bytes:
        raise _over(max_bytes)
    return declared


def _declared_bytes(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


async def _spool(reply: Reply, spool: Spool, max_bytes: int) -> tuple[int, str]:
    """Write the body to `spool` piece by piece; its size [bytes] and SHA-256 (hex).

    A write to disk here is one of a few KiB into the system's cache: microseconds, less than handing it to a thread.
    """
    size, digest = 0, hashlib.sha256()
    async for chunk in reply.chunks:
        size += len(chunk)
        if size > max_bytes:
            raise _over(max_bytes)
        digest.update(chunk)
        spool.write(chunk)
        reached("half_downloaded")
    return size, digest.hexdigest()


async def _tell(spool: Spool, size: int, reply: Reply, declared: int | None, *, sound: bool) -> Kind:
    """The file's kind, read in a thread: a small file may take long, too.

    Without a declared length a missing end is put down to the connection, so the download is tried again.
    """
    if declared is not None and declared != size:
        raise DownloadError(f"{reply.where}: {size} of {declared} bytes came")
    try:
        return await asyncio.to_thread(identify, spool, size, sound=sound)
    except EndsEarlyError as error:
        if declared is not None:
            raise
        raise DownloadError(f"{reply.where}: the connection ended, and {error}") from None


def _kind(error: Exception) -> str:
    """What kind of error it is; of the system's own (a full disk) its words too."""
    name = type(error).__name__
    return f"{name} ({os.strerror(error.errno)})" if isinstance(error, OSError) and error.errno else name


def _over(max_bytes: int) -> BadMediaError:
    return BadMediaError(f"over the limit of {max_bytes} bytes (BIDE_MEDIA__MAX_BYTES)")
