"""What the doctor says of things that can't be made wrong here: clocks, old servers, checks that break."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bide.settings.addresses import ServerUrl
from config.logging import register_secrets
from workers.doctor.findings import Finding, Level, run
from workers.doctor.replication import Replica, Replication, _at, _lag
from workers.doctor.servers import _skew, _version


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(0.2, Level.OK), (-0.9, Level.OK), (3.0, Level.WARNING), (-3.0, Level.WARNING), (-60.0, Level.PROBLEM)],
)
def test_clocks_apart(seconds: float, level: Level) -> None:
    """One host's clock sets a countdown, another host's clock ends it."""
    assert _skew("clock", seconds).level is level


@pytest.mark.parametrize(
    ("info", "level"),
    [
        ({"redis_version": "5.0.14"}, Level.PROBLEM),
        ({"redis_version": "6.2.0"}, Level.OK),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.0"}, Level.OK),
    ],
)
def test_the_oldest_server(info: dict[str, str], level: Level) -> None:
    """Some commands that kombu sends came with Redis 6.2; a Valkey says which Redis it is like."""
    assert _version("version", info).level is level


@pytest.mark.parametrize(
    ("url", "host", "address"),
    [
        ("redis://h:6379/0", "10.0.0.2", "redis://10.0.0.2:7000"),
        ("redis://user:p%40ss@h:6379/3", "10.0.0.2", "redis://user:p%40ss@10.0.0.2:7000"),
        (
            "rediss://:p@h/0?ssl_ca_certs=/ca.pem",
            "replica.example",
            "rediss://:p@replica.example:7000?ssl_ca_certs=/ca.pem",
        ),
        ("sentinel://:p@a:26379/0;sentinel://b:26379/0", "::2", "redis://:p@[::2]:7000"),
        ("unix:///run/redis.sock?db=0", "10.0.0.2", "redis://10.0.0.2:7000"),
    ],
)
def test_a_replica_is_reached_as_its_leader(url: str, host: str, address: str) -> None:
    """By the same user, password and certificates, at the address that the leader has for it."""
    assert _at(ServerUrl(url), Replica(host, 7000, "online", 0, 0)) == address


@pytest.mark.parametrize("state", ["wait_bgsave", "send_bulk"])
def test_a_replica_that_is_being_copied_can_not_lead(state: str) -> None:
    """Until it has a whole copy it has nothing."""
    server = Replication("redis", ServerUrl("redis://h"), ["ledger"], {}, {})
    assert _lag("replica", server, Replica("h", 1, state, 0, 0)).level is Level.WARNING


def test_a_check_that_breaks_is_a_finding_without_secrets() -> None:
    """It stops no other check, and what it trips over may hold a key."""
    register_secrets(["a-key-of-the-doctor"])

    def check() -> Iterator[Finding]:
        yield Finding("one", Level.OK, "with a-key-of-the-doctor")
        raise ValueError("a-key-of-the-doctor")

    first, second = run("two", check)

    assert first.says == "with ***"
    assert (second.level, second.says) == (Level.PROBLEM, "the check itself broke: ValueError: ***")
