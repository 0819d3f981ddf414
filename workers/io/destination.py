"""Where an API call may go: an account's key leaves for its provider's own hosts, and for no other."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import httpx

from bide.addresses import DEFAULT_PORTS, host_of, web_address
from bide.errors import ForeignAddressError
from bide.providers.base import Account, Call, Provider


def confined(call: Call, adapter: Provider, account: Account) -> Call:
    """The call, if it goes to the account's base URL, its host and port, or to one of the adapter's `hosts`.

    Raises `ForeignAddressError` for any other: its address came from an answer, and nothing is sent there.
    """
    if not call.url.startswith(f"{account.base_url}/"):  # as `Account.url` makes nearly all of them
        _check(call.url, account.base_url, adapter.hosts, adapter.name)
    return call


@lru_cache(maxsize=1024)
def _check(address: str, base_url: str, hosts: tuple[str, ...], provider: str) -> None:
    try:
        url, base = web_address(address), web_address(base_url)
    except ValueError as error:
        raise ForeignAddressError(f"an answer of {provider} names an address to call that is none: {error}") from None
    place = _place(url)
    if url.userinfo or not (_place(base) == place or _is_listed(place, url.scheme, hosts)):
        raise ForeignAddressError(
            f"an answer of {provider} leads to {place}, which is neither its base URL's host nor among the adapter's "
            "`hosts`; nothing was sent there"
        )
    if url.scheme not in (base.scheme, "https"):
        raise ForeignAddressError(f"an answer of {provider} leads to {place} without TLS; nothing was sent there")


def _place(url: httpx.URL) -> str:
    """Host and port, in one spelling."""
    host = host_of(url)
    return f"{f'[{host}]' if ':' in host else host}:{url.port or DEFAULT_PORTS[url.scheme]}"


def _is_listed(place: str, scheme: str, hosts: Iterable[str]) -> bool:
    """Whether an entry names the place: `host` at the usual port, `host:port`, or `*.host` for all hosts below it."""
    usual = f":{DEFAULT_PORTS[scheme]}"
    for entry in hosts:
        name, port = entry.lower(), "" if entry.rpartition(":")[2].isdigit() else usual
        if place.endswith(name[1:] + port) if name.startswith("*.") else place == name + port:
            return True
    return False
