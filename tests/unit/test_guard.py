"""Addresses that lead inside are refused in every spelling, and a name is judged by what it leads to."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import pytest

from bide.errors import BadMediaError
from workers.io.guard import CheckedUrl, GuardedResolver, allowed, check_url

INSIDE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]

OUTSIDE = [
    "1.1.1.1",
    "100.63.255.255",
    "100.128.0.0",
    "172.32.0.1",
    "192.0.1.1",
    "2606:4700:4700::1111",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
    "2002:101:101::1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_inside_addresses_are_refused(address: str) -> None:
    """Private, local, shared, reserved, metadata and embedded addresses are not public."""
    assert not allowed(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_public_addresses_are_allowed(address: str) -> None:
    """Public addresses, and the neighbours of refused blocks, may be fetched from."""
    assert allowed(address)


def test_what_is_no_address_is_refused() -> None:
    """A host name is no address, so it is never taken for a checked one."""
    assert not allowed("example.com")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "017700000001",
        "0177.0.0.1",
        "16843009",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[fe80::1%25eth0]",
    ],
)
def test_hosts_written_as_numbers_are_judged_without_a_resolver(host: str) -> None:
    """Every numeric spelling of an inside address is refused, and so is an unusual spelling of a public one."""
    with pytest.raises(BadMediaError):
        check_url(f"http://{host}/a.png")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/a.png",
        "file:///etc/passwd",
        "//example.com/a.png",
        "a.png",
        "",
        "https://",
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "http://127.0.0.1\\@example.com/",
        "http://example.com%2f@127.0.0.1/",
        "http://127%2e0.0.1/",
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://exa mple.com/",
        "http://example.com:99999/",
        "http://example.com:0/",
        "http://[::1/",
    ],
)
def test_urls_that_mislead_are_refused(url: str) -> None:
    """Other schemes, credentials and hosts over which parsers disagree are refused, without repeating secrets."""
    with pytest.raises(BadMediaError) as refused:
        check_url(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["https://example.com/a%20b.png?sig=a%2Bb&x=1", "http://1.1.1.1/a", "https://bücher.example/"]
)
def test_public_urls_pass_under_guard(url: str) -> None:
    """An ordinary address is fetched, and its name still has to resolve to a public address."""
    assert check_url(url).guarded


def test_a_checked_url_keeps_its_signature() -> None:
    """The query of a signed URL comes through unchanged."""
    url = "https://example.com/a.png?X-Sig=a%2Bb%2F%3D&e=1"
    assert check_url(url).url == url


@pytest.mark.parametrize(
    ("url", "entry"),
    [
        ("http://127.0.0.1:9000/a", "127.0.0.1:9000"),
        ("http://127.0.0.1:9000/a", "127.0.0.1"),
        ("http://[::1]:9000/a", "[::1]:9000"),
        ("http://[::1]:9000/a", "::1"),
        ("https://Sandbox/a", "sandbox:443"),
        ("http://sandbox./a", "SANDBOX"),
    ],
)
def test_listed_hosts_may_lie_anywhere(url: str, entry: str) -> None:
    """An entry "host" or "host:port" lifts the guard for that host."""
    assert not check_url(url, allowed_hosts=[entry]).guarded


@pytest.mark.parametrize("entry", ["127.0.0.1:9001", "127.0.0.2", "0.0.1", "127.0.0.1:900"])
def test_a_listed_host_lifts_the_guard_for_itself_only(entry: str) -> None:
    """Another port, host or part of a host stays refused."""
    with pytest.raises(BadMediaError, match="MEDIA_HOSTS"):
        check_url("http://127.0.0.1:9000/a", allowed_hosts=[entry])


def test_a_listed_host_needs_a_web_address_all_the_same() -> None:
    """The list is about addresses: schemes and credentials are refused for listed hosts, too."""
    with pytest.raises(BadMediaError):
        check_url("ftp://sandbox/a", allowed_hosts=["sandbox"])


class _Names(aiohttp.abc.AbstractResolver):
    """Names with the addresses of a test."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        self.asked += 1
        return [
            {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}
            for address in self.addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


def test_a_name_is_resolved_once_and_its_checked_addresses_handed_on() -> None:
    """What was checked is what is connected to: there is no second look-up that could say something else."""
    names = _Names("1.1.1.1", "2606:4700:4700::1111")
    found = asyncio.run(GuardedResolver(names).resolve("example.com", 443))
    assert [result["host"] for result in found] == ["1.1.1.1", "2606:4700:4700::1111"]
    assert names.asked == 1


def test_one_inside_address_refuses_the_name() -> None:
    """A name that leads outside and inside is an attempt to get in."""
    with pytest.raises(BadMediaError, match=r"10\.0\.0\.7"):
        asyncio.run(GuardedResolver(_Names("1.1.1.1", "10.0.0.7")).resolve("example.com", 443))


def test_a_checked_url_says_where_it_leads() -> None:
    """The result is the URL to fetch and whether its addresses are to be checked."""
    assert check_url("https://example.com/a") == CheckedUrl("https://example.com/a", guarded=True)
