"""A hundred thousand mutated addresses against the guard: none that it lets through is read as an inside address."""

from __future__ import annotations

import random
import socket
from ipaddress import ip_address

import yarl

from bide.errors import BadMediaError
from workers.io.guard import check_url

#: How many are tried, always the same ones.
COUNT, SEED = 100_000, 19

#: What is mutated: inside addresses in the spellings that some parser takes, and what stands around a host.
INSIDE = (
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "10.0.0.7",
    "192.168.1.1",
    "172.16.0.1",
    "169.254.169.254",
    "0xa9.0xfe.0xa9.0xfe",
    "100.64.0.1",
    "0.0.0.0",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[fd00:ec2::254]",
    "[fe80::1%25eth0]",
)
SCHEMES = ("http://", "https://", "HTTP://", "http:/\\", "http:\\\\", "http:", "//", "ftp://", " http://")
PATHS = ("/", "/a.png", "/latest/meta-data/", "?x=@example.com", "#@example.com", ":80/", ":0/", "\\@example.com/", "")

#: What is strewn in: separators, blanks, signs that parsers disagree over, digits and dots of other scripts.
NOISE = (
    *"@:/\\?#[]%.-_ \t\n\r\0x0123456789abcdefABCDEF",
    *"\u3002\uff0e\uff61\u2460\u2461\u2466\uff10\uff11\uff17\u00b2\u200b\u00ad",
    *("%00", "%2e", "%40", "%5c", "xn--", "user@", "@example.com", "example.com@", "0x", "00", ".."),
)


def mutated(dice: random.Random) -> str:
    """One address, with up to four changes."""
    text = dice.choice(SCHEMES[:2] if dice.random() < 0.7 else SCHEMES) + dice.choice(INSIDE) + dice.choice(PATHS)
    for _ in range(dice.randrange(5)):
        at = dice.randrange(len(text) + 1)
        cut = at + dice.randrange(2)
        text = text[:at] + dice.choice(NOISE) * dice.randrange(1, 3) + text[cut:]
    return text


def numeric(host: str) -> str | None:
    """The address that the system takes a host for without a name server; None for a name."""
    try:
        [*_, (_, _, _, _, (address, *_))] = socket.getaddrinfo(host, 80, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError, ValueError):
        return None
    return str(address).partition("%")[0]


def test_no_mutation_leads_inside() -> None:
    """What passes is a name or an outside address, to the HTTP client's own parser as to the system."""
    dice = random.Random(SEED)
    passed = 0
    for _ in range(COUNT):
        url = mutated(dice)
        try:
            checked = check_url(url)
        except BadMediaError:
            continue
        passed += 1
        assert checked.guarded
        try:
            host = yarl.URL(checked.url).host or ""
        except ValueError:
            continue  # not dialled either
        address = numeric(host)
        assert address is None or ip_address(address).is_global, (url, checked.url, host)
    assert passed > COUNT / 100  # not all are refused for their form alone
