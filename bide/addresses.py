"""The reading of foreign web addresses; all errors that a parser may raise are mapped here, once."""

from __future__ import annotations

import re

import httpx
import yarl

DEFAULT_PORTS = {"http": 80, "https": 443}

#: Host names, after IDNA, over which no two URL parsers disagree.
_PLAIN_HOST = re.compile(r"[a-z0-9_.-]+|[0-9a-f:.]+")


def web_address(text: str) -> httpx.URL:
    """The address as a request carries it; raises `ValueError`, without the address, where no request could."""
    url = _read(text)
    if url.scheme not in DEFAULT_PORTS:
        raise ValueError(f"{url.scheme or 'no scheme'}: only http and https addresses are fetched")
    port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
    if not _PLAIN_HOST.fullmatch(host_of(url)) or not 0 < port < 65536:
        raise ValueError("the address names no host and port that can be reached")
    return url


def host_of(url: httpx.URL) -> str:
    """The host in one spelling: ASCII, small letters, no dot at the end."""
    return url.raw_host.decode("ascii").lower().rstrip(".")


def _read(text: str) -> httpx.URL:
    """An address whose parts can all be read: httpx raises for some of them only when they are read.

    A resolver must take the host name, and aiohttp's parser the whole address.
    """
    try:
        url = httpx.URL(text)
        host_of(url).encode("idna")  # as a resolver does: empty and overlong labels
        _ = url.host, url.netloc, url.raw_path, url.userinfo
        yarl.URL(str(url))
    except (httpx.InvalidURL, ValueError, TypeError):  # UnicodeError and idna's own errors are ValueErrors
        raise ValueError("the address can't be read as a URL") from None
    return url
