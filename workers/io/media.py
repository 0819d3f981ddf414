"""Fetching a result: every address is checked, every byte counted, and what comes must be a whole file of its kinds."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Self

from bide.addresses import redirected
from bide.crashpoints import reached
from bide.errors import BadMediaError, DownloadError
from bide.polling.backoff import retry_after_seconds
from bide.providers.base import MAX_FALLBACKS, Media
from bide.providers.offering import PICTURES, MediaKind, is_written, with_role
from workers.io.guard import check_url
from workers.io.http import HttpClient, Reply
from workers.io.origin import NO_HEADERS, OriginHeaders
from workers.io.sniff import EndsEarlyError, identify, kind_of_text
from workers.io.wrapping import inside

#: Up to here a file stays in memory [bytes]; a larger one goes to disk.
SPOOL_BYTES = 8 * 1024 * 1024

MAX_REDIRECTS = 5

#: The answers to a signed address that has expired: S3 and Azure say 403, Google 400, others 401, 404 or 410.
STALE_STATUSES = frozenset({400, 401, 403, 404, 410})

#: How often a file may be wrapped: packed, as text, in an answer.
MOST_WRAPPINGS = 3

#: Last byte and size of a part that begins with the first byte.
_PART = re.compile(r"bytes 0-(\d{1,18})/(\d{1,18})", re.IGNORECASE)

Spool = SpooledTemporaryFile[bytes]


@dataclass(frozen=True)
class _Terms:
    """What is taken as an output, and how it is fetched."""

    max_bytes: int
    kinds: frozenset[MediaKind]
    allowed_hosts: Collection[str] = ()
    own_headers: OriginHeaders = NO_HEADERS


@dataclass(frozen=True)
class Fetched:
    """A file that was checked, in a file that vanishes when it is closed; use it as a context manager."""

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


async def download(
    client: HttpClient,
    media: Media,
    *,
    max_bytes: int,
    allowed_hosts: Collection[str] = (),
    kinds: frozenset[MediaKind] = PICTURES,
    own_headers: OriginHeaders = NO_HEADERS,
) -> Fetched:
    """Fetch one output from its address or, where that fails, from its fallbacks in order; check inline content alike.

    `allowed_hosts`: see `guard.check_url`. `own_headers` go to their origin alone; once a redirect has led elsewhere,
    the download goes on without them, even back there. Raises `DownloadError` where trying again may help with any of
    the addresses, else `BadMediaError`.
    """
    kinds = with_role(kinds, media.role)
    if not media.url:
        written = is_written(media.role, kinds)
        return await asyncio.to_thread(from_bytes, media.content, max_bytes=max_bytes, kinds=kinds, written=written)
    terms = _Terms(max_bytes, kinds, allowed_hosts, own_headers)
    troubles: list[DownloadError | BadMediaError] = []
    for url in (media.url, *media.fallback_urls[:MAX_FALLBACKS]):
        try:
            return await _fetch(client, url, terms)
        except (DownloadError, BadMediaError) as trouble:
            troubles.append(trouble)
    raise next((trouble for trouble in troubles if isinstance(trouble, DownloadError)), troubles[0])


def from_bytes(
    content: bytes, *, max_bytes: int, kinds: frozenset[MediaKind] = PICTURES, written: bool = False
) -> Fetched:
    """Check inline content as a download is checked; raises `BadMediaError`.

    `written`: it is a text that stood in an answer as such. Such a text is whole, whatever it says: half a JSON, or a
    page, which is stored as plain text.
    """
    if len(content) > max_bytes:
        raise _over(max_bytes)
    spool = Spool(max_size=SPOOL_BYTES)
    try:
        size, sha256 = _written([content], spool, max_bytes, _over)
    except BaseException:
        spool.close()
        raise
    return _checked(spool, size, sha256, _Terms(max_bytes, kinds), written=written)


def _checked(spool: Spool, size: int, sha256: str, terms: _Terms, label: str = "", *, written: bool = False) -> Fetched:
    """The file of `spool`, or the one that it wraps, once it is known to be whole; raises `BadMediaError`."""
    try:
        spool, size, sha256 = _unwrapped(spool, size, sha256, terms, label)
        kind = kind_of_text(spool, size) if written else identify(spool, size, kinds=terms.kinds)
    except BaseException:
        spool.close()
        raise
    return Fetched(spool, size, sha256, kind.content_type, kind.ext, kind.width, kind.height, kind.warning)


async def _fetch(client: HttpClient, url: str, terms: _Terms) -> Fetched:
    total_seconds = client.options.media.total_seconds
    try:
        async with asyncio.timeout(total_seconds):
            return await _follow(client, url, terms)
    except (DownloadError, BadMediaError):
        raise
    except TimeoutError:
        raise DownloadError(f"the download took longer than {total_seconds:g} s") from None
    except Exception as error:
        # A gap in some parser, or this machine's disk: never a reason to leave the other addresses untried, and a paid
        # result is tried for again. No words of the error: they may quote the address.
        raise DownloadError(f"the download broke: {_kind(error)}") from error


async def _follow(client: HttpClient, url: str, terms: _Terms) -> Fetched:
    headers = terms.own_headers.of(url)
    for _ in range(MAX_REDIRECTS + 1):
        target = check_url(url, allowed_hosts=terms.allowed_hosts)
        headers = headers and terms.own_headers.of(target.url)  # once dropped, they stay so
        async with client.stream(target.url, guarded=target.guarded, headers=headers) as reply:
            if reply.status not in (301, 302, 303, 307, 308):
                return await _receive(reply, terms)
            url = _redirected(target.url, reply)
    raise DownloadError(f"more than {MAX_REDIRECTS} redirects")


def _redirected(url: str, reply: Reply) -> str:
    try:
        return redirected(url, reply.headers["location"])
    except (KeyError, ValueError):
        raise DownloadError(f"{reply.where}: HTTP {reply.status} without a usable address") from None


async def _receive(reply: Reply, terms: _Terms) -> Fetched:
    declared = _check_head(reply, terms.max_bytes)
    spool = Spool(max_size=SPOOL_BYTES)
    try:
        size, sha256 = await _spool(reply, spool, terms.max_bytes)
        _check_length(reply, declared, size)
        with _blamed(reply, declared):
            label = reply.headers.get("content-encoding", "")
            return await asyncio.to_thread(_checked, spool, size, sha256, terms, label)  # a small file may take long
    except BaseException:
        spool.close()
        raise


def _check_head(reply: Reply, max_bytes: int) -> int | None:
    """Refuse what the head alone rules out; the length it declares [bytes], if it does."""
    if not _has_file(reply):
        wish = retry_after_seconds(reply.headers.get("retry-after"))
        stale = reply.status in STALE_STATUSES
        raise DownloadError(f"{reply.where}: HTTP {reply.status}", after_seconds=wish, stale=stale)
    declared = _declared_bytes(reply.headers)
    if declared is not None and declared > max_bytes:
        raise _over(max_bytes)
    return declared


def _check_length(reply: Reply, declared: int | None, size: int) -> None:
    if declared is not None and declared != size:
        raise DownloadError(f"{reply.where}: {size} of {declared} bytes came")


def _has_file(reply: Reply) -> bool:
    """Whether the code leaves room for a whole file: of 2xx all but those without a body and those with a part."""
    if reply.status == 206:
        part = _PART.fullmatch(reply.headers.get("content-range", "").strip())
        return part is not None and int(part[1]) + 1 == int(part[2])
    return 200 <= reply.status < 300 and reply.status not in (204, 205)


@contextmanager
def _blamed(reply: Reply, declared: int | None) -> Iterator[None]:
    """Put a bad file down to its answer, so that it is asked for again, where it may come whole another time.

    A missing end without a declared length is the connection's; what is no file under another code than 200 is a word
    about the file.
    """
    try:
        yield
    except BadMediaError as error:
        if reply.status != 200:
            raise DownloadError(f"{reply.where}: HTTP {reply.status}, and {error}", stale=True) from None
        if declared is None and isinstance(error, EndsEarlyError):
            raise DownloadError(f"{reply.where}: the connection ended, and {error}") from None
        raise


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


def _unwrapped(spool: Spool, size: int, sha256: str, terms: _Terms, label: str = "") -> tuple[Spool, int, str]:
    """The file itself where `spool`, which is closed then, only wraps it; its size and SHA-256."""
    for _ in range(MOST_WRAPPINGS):
        pieces = inside(spool, label, terms.kinds)
        if pieces is None:
            break
        inner = Spool(max_size=SPOOL_BYTES)
        try:
            size, sha256 = _written(pieces, inner, terms.max_bytes, _unpacked_over)
        except BaseException:
            inner.close()
            raise
        finally:
            spool.close()
        spool = inner
    return spool, size, sha256


def _written(
    pieces: Iterable[bytes], spool: Spool, max_bytes: int, over: Callable[[int], BadMediaError]
) -> tuple[int, str]:
    """Write pieces that are here already; their size [bytes] and SHA-256 (hex)."""
    size, digest = 0, hashlib.sha256()
    for piece in pieces:
        size += len(piece)
        if size > max_bytes:
            raise over(max_bytes)
        digest.update(piece)
        spool.write(piece)
    return size, digest.hexdigest()


def _kind(error: Exception) -> str:
    """What kind of error it is; of the system's own (a full disk) its words too."""
    name = type(error).__name__
    return f"{name} ({os.strerror(error.errno)})" if isinstance(error, OSError) and error.errno else name


def _over(max_bytes: int) -> BadMediaError:
    return BadMediaError(f"over the limit of {max_bytes} bytes (BIDE_MEDIA__MAX_BYTES)")


def _unpacked_over(max_bytes: int) -> BadMediaError:
    return BadMediaError(f"unpacked it is {_over(max_bytes)}")
