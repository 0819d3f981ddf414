"""What the doctor says of things that can't be made wrong here: clocks, old servers, checks that break."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from config.logging import register_secrets
from workers.doctor.findings import Finding, Level, run
from workers.doctor.servers import _skew, _version


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(0.2, Level.OK), (-0.9, Level.OK), (3.0, Level.WARNING), (-3.0, Level.WARNING), (-60.0, Level.PROBLEM)],
)
def test_clocks_apart(seconds: float, level: Level) -> None:
    """Countdowns are told by one host's clock and waited for by another's."""
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


def test_a_check_that_breaks_is_a_finding_without_secrets() -> None:
    """It stops no other check, and what it trips over may hold a key."""
    register_secrets(["a-key-of-the-doctor"])

    def check() -> Iterator[Finding]:
        yield Finding("one", Level.OK, "with a-key-of-the-doctor")
        raise ValueError("a-key-of-the-doctor")

    first, second = run("two", check)

    assert first.says == "with ***"
    assert (second.level, second.says) == (Level.PROBLEM, "the check itself broke: ValueError: ***")
