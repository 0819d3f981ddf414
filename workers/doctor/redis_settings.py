"""A Redis's own settings: whether it keeps what it has acknowledged, when memory is short and when its host stops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import redis

from workers.doctor.findings import Finding, ok, problem, warning

#: What is asked of CONFIG, beyond what INFO says.
PATTERNS = ("*appendfsync*", "min-replicas-*")


def configuration(server: redis.Redis) -> Mapping[str, str]:
    """What CONFIG says; empty where it may not be asked, as with servers that others run."""
    try:
        answers = [server.config_get(pattern) for pattern in PATTERNS]
    except redis.ResponseError:
        return {}
    return {str(name): str(value) for answer in answers for name, value in answer.items()}


def check_settings(
    name: str, info: Mapping[str, Any], config: Mapping[str, str], *, holds_money: bool, replicated: bool
) -> Iterator[Finding]:
    """What it does when memory is short, and what a power cut takes from it."""
    yield _eviction(f"eviction of {name}", info, holds_money=holds_money)
    yield _persistence(f"persistence of {name}", info, config, holds_money=holds_money, replicated=replicated)


def _eviction(check: str, info: Mapping[str, Any], *, holds_money: bool) -> Finding:
    policy = info.get("maxmemory_policy")
    if policy == "noeviction":
        return ok(check, "noeviction: full means refused, nothing is thrown away")
    what = "records of paid jobs" if holds_money else "messages and results"
    return problem(
        check,
        f"maxmemory-policy is {policy}: when memory is short, {what} are thrown away",
        "CONFIG SET maxmemory-policy noeviction, and the same in its configuration file",
    )


def _persistence(
    check: str, info: Mapping[str, Any], config: Mapping[str, str], *, holds_money: bool, replicated: bool
) -> Finding:
    if not holds_money:
        return ok(check, "not needed: what is lost here is rebuilt from the ledger")
    if not info.get("aof_enabled"):
        return problem(
            check,
            "the append-only file is off: a restart forgets jobs that are paid for",
            "CONFIG SET appendonly yes, and the same in its configuration file",
        )
    if info.get("aof_last_write_status") != "ok" or info.get("aof_last_bgrewrite_status") != "ok":
        return problem(check, "the append-only file could not be written", "look at the server's log and disk")
    return _flushing(check, config, replicated=replicated)


def _flushing(check: str, config: Mapping[str, str], *, replicated: bool) -> Finding:
    when = config.get("appendfsync")
    if when == "always" and config.get("no-appendfsync-on-rewrite") == "yes":
        words = "no-appendfsync-on-rewrite is yes: while the file is rewritten, a power cut may forget half a minute"
        return warning(check, words, "CONFIG SET no-appendfsync-on-rewrite no, and the same in its configuration file")
    if when == "always" and replicated:
        words = "append-only file, flushed before each answer: a restart forgets nothing, a failover may"
        return ok(check, words)
    if when == "always":
        return ok(check, "append-only file, flushed before each answer: a power cut loses nothing")
    if when is None:
        words = "append-only file; when it is flushed may not be asked here (CONFIG is closed)"
        return warning(check, words, "ask its operator for appendfsync always, or know what a power cut may forget")
    lost = "about a second" if when == "everysec" else "half a minute"
    words = f"append-only file with appendfsync {when}: a power cut may forget {lost} of purchases"
    remedy = "CONFIG SET appendfsync always, and the same in its configuration file"
    return warning(check, words, remedy) if when == "everysec" else problem(check, words, remedy)
