"""Which addresses may be fetched: URLs of results and inputs are written by others, and must not lead inside."""

from __future__ import annotations

import socket
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple

import aiohttp
import httpx

from bide.addresses import DEFAULT_PORTS, host_of, origin_of
from bide.errors import BadMediaError

#: What no public server has: the IANA special-purpose registry, multicast, and Azure's metadata address.
#: Written out because `ipaddress.is_global` says something else in every Python.
_FORBIDDEN_V4 = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "168.63.129.16/32",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)

#: The part of IPv6 that is given out to servers, and the special blocks inside it.
_GLOBAL_V6 = ip_network("2000::/3")
_FORBIDDEN_V6 = tuple(map(ip_network, ("2001::/23", "2001:db8::/32", "3fff::/20")))

#: Translates IPv4 for hosts that have only IPv6; the last 32 bits are the address that is meant.
_NAT64 = ip_network("64:ff9b::/96")


class CheckedUrl(NamedTuple):
    """A URL that may be fetched, as it was written; `guarded`: only at a public address."""

    url: str
    guarded: bool


def allowed(address: str) -> bool:
    """Whether `address` (an IP address) is public; False for what is no address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return _public_v4(parsed) if isinstance(parsed, IPv4Address) else _public_v6(parsed)


def check_url(url: str, *, allowed_hosts: Collection[str] = ()) -> CheckedUrl:
    """Judge a URL without resolving its name; raises `BadMediaError`.

    `allowed_hosts` ("host" or "host:port") may lie anywhere. A host written as a number must be a public address in
    its usual spelling, because such hosts never reach `GuardedResolver`.
    """
    try:
        parsed = origin_of(url)
    except ValueError as error:
        raise BadMediaError(str(error)) from None
    if parsed.userinfo:
        raise BadMediaError("an address with a user name or password is not fetched")
    if _listed(parsed, allowed_hosts):
        return CheckedUrl(url, guarded=False)
    host = host_of(parsed)
    if _is_number(host) and not allowed(host):
        raise BadMediaError(f"{host} is not a public address; list it in MEDIA_HOSTS if results may come from there")
    return CheckedUrl(url, guarded=True)


class GuardedResolver(aiohttp.abc.AbstractResolver):
    """Resolves a name once and hands on exactly the addresses that were checked; one bad address refuses the name."""

    def __init__(self, resolver: aiohttp.abc.AbstractResolver | None = None) -> None:
        self._resolver = resolver or aiohttp.DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if not found:
            raise OSError(f"{host} has no address")  # aiohttp can't do with none
        for result in found:
            if not allowed(result["host"]):
                raise BadMediaError(f"{host} leads to {result['host']}, which is not a public address")
        return found

    async def close(self) -> None:
        await self._resolver.close()


def _public_v4(address: IPv4Address) -> bool:
    return not any(address in network for network in _FORBIDDEN_V4)


def _public_v6(address: IPv6Address) -> bool:
    embedded = _embedded_v4(address)
    if embedded is not None:
        return _public_v4(embedded)
    return address in _GLOBAL_V6 and not any(address in network for network in _FORBIDDEN_V6)


def _embedded_v4(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address inside a mapped, a 6to4 or a NAT64 address."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _listed(url: httpx.URL, allowed_hosts: Collection[str]) -> bool:
    host = host_of(url)
    bracketed = f"[{host}]" if ":" in host else host
    names = {host, bracketed, f"{bracketed}:{url.port or DEFAULT_PORTS[url.scheme]}"}
    return any(entry.lower() in names for entry in allowed_hosts)


def _is_number(host: str) -> bool:
    """Whether the system would take `host` for an address: also 2130706433, 0x7f.1, 017700000001 and 127.1."""
    if ":" in host:
        return True
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True
