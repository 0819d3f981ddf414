"""The reading of foreign web addresses; all errors that a parser may raise are mapped here, once.

An address is never put into another spelling: what its author signed goes out letter by letter (`target_of`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, urlsplit

import httpx
import yarl

DEFAULT_PORTS = {"http": 80, "https": 443}

#: Host names, after IDNA, over which no two URL parsers disagree.
_PLAIN_HOST = re.compile(r"[a-z0-9_.-]+|[0-9a-f:.]+")

#: Scheme and authority of an address, as httpx tells them apart, its path and its query. A fragment is never sent.
_PARTS = re.compile(r"([a-z][a-z0-9+.-]*://[^/?#]*)([^?#]*)([^#]*)", re.IGNORECASE | re.DOTALL)

#: Addresses of which a parser need read only the origin: each job has another path.
_PLAIN = re.compile(r"(https?://[^/?#@\\]+)/[!-\"$-~]{0,8000}")

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)

#: All that a request line can hold.
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))


def web_address(text: str) -> httpx.URL:
    """The address as a request carries it; raises `ValueError`, without the address, where no request could."""
    url = _read(text)
    if url.scheme not in DEFAULT_PORTS:
        raise ValueError(f"{url.scheme or 'no scheme'}: only http and https addresses are fetched")
    port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
    if not _PLAIN_HOST.fullmatch(host_of(url)) or not 0 < port < 65536:
        raise ValueError("the address names no host and port that can be reached")
    return url


def origin_of(address: str) -> httpx.URL:
    """A URL with the scheme, host, port and user of an address; what follows these only matters where it is odd.

    Raises `ValueError` as `web_address` does. A second address of the same origin is not parsed again.
    """
    found = _PLAIN.fullmatch(address)
    return _web_origin(found[1]) if found else web_address(address)


@lru_cache(maxsize=1024)
def _web_origin(origin: str) -> httpx.URL:
    return web_address(origin)


def target_of(address: str) -> str:
    """Path and query of an address as the request line has them: letter by letter as they were written.

    Only blanks and letters beyond ASCII, which no request line can hold, are escaped. Raises `ValueError`.
    """
    _, path, query = _parts_of(address)
    target = quote(path + query, safe=_VISIBLE)
    return target if target.startswith("/") else f"/{target}"


def redirected(address: str, location: str) -> str:
    """Where a redirect of `address` leads. A `location` keeps its letters, only a relative path is resolved.

    `location` is a header's value, read as Latin-1; servers send UTF-8, too. Raises `ValueError`.
    """
    reference = _sent_as(location)
    urlsplit(reference)  # raises for what is no reference
    origin, path, query = _parts_of(address)
    if _SCHEME.match(reference):
        return reference
    if reference.startswith("//"):
        return origin.partition("//")[0] + reference
    if reference.startswith("/"):
        return origin + reference
    if not reference.partition("#")[0]:
        return origin + path + query
    if reference.startswith("?"):
        return origin + path + reference
    _, step, further = _parts_of(f"{origin}/{reference}")
    return origin + _resolved(path[: path.rfind("/")] + step) + further


def _resolved(path: str) -> str:
    """A path without its steps "." and ".."; yarl and urllib, which can do this, also rewrite what is no such step."""
    steps, kept = path.split("/")[1:], list[str]()
    for step in steps:
        if step == "..":
            del kept[-1:]
        elif step != ".":
            kept.append(step)
    return "/" + "/".join([*kept, ""] if steps[-1] in (".", "..") else kept)


def _sent_as(header: str) -> str:
    sent = header.encode("latin-1")
    try:
        return sent.decode()
    except UnicodeDecodeError:
        return quote(sent, safe=_VISIBLE)


def _parts_of(address: str) -> tuple[str, str, str]:
    parts = _PARTS.match(address)
    if parts is None:
        raise ValueError("the address can't be read as a URL")
    return parts[1], parts[2], parts[3]


def host_of(url: httpx.URL) -> str:
    """The host in one spelling: ASCII, small letters, no dot at the end."""
    return url.raw_host.decode("ascii").lower().removesuffix(".")


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
