"""What went wrong with a request, as words that hold no secret, and whether any of it left."""

from __future__ import annotations

import aiohttp
import httpx

from workers.io.body import UnusableBodyError


def never_sent(error: Exception) -> bool:
    """Whether no byte of the request left.

    The httpx class can't tell: the transport reports a connection lost after sending as `ConnectTimeout`, too.
    """
    return isinstance(error.__cause__, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)


def message_of(request: httpx.Request, error: Exception) -> str:
    """What failed and why; texts of aiohttp may hold whole URLs with their signatures, so only known ones pass."""
    return f"{request.method} {plain(request.url)}: {reason(error)}"


def reason(error: Exception) -> str:
    """Why a request failed."""
    cause = error.__cause__ or error
    if isinstance(cause, UnusableBodyError):
        return str(cause)
    if isinstance(cause, aiohttp.ClientConnectorError):
        return f"no connection ({cause.os_error.strerror or type(cause.os_error).__name__})"
    if isinstance(cause, aiohttp.ConnectionTimeoutError):
        return "no connection in time"
    if isinstance(cause, TimeoutError):
        return "no whole answer in time"
    return f"no whole answer ({type(cause).__name__})"


def plain(url: httpx.URL | str) -> str:
    """A URL without credentials, query and fragment; the path of one that was read stays escaped."""
    if isinstance(url, str):
        return url.partition("?")[0].rpartition("@")[2]
    return f"{url.scheme}://{url.netloc.decode('ascii')}{url.raw_path.partition(b'?')[0].decode('ascii')}"
