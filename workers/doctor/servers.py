"""The Redis servers: whether they keep what they are told, and have room for it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bide.servers import connect as reach
from config.addresses import REDIS_SCHEMES, ServerUrl, masked
from config.settings import Settings
from workers.doctor.findings import Finding, ok, problem, warning

#: How long a server may take to answer [seconds].
ANSWER_SECONDS = 5.0

#: kombu asks with a form of ZRANGE that came with this version, for messages whose worker has died.
OLDEST_VERSION = (6, 2)

#: How full a server may be: from here on it is a warning, from there on a problem [share of its limit].
FULL_SOON, FULL = 0.75, 0.9

#: How far clocks may be apart: a countdown is told by the clock of one host and waited for by another's [seconds].
SKEW_SECONDS, SKEW_MOST_SECONDS = 1.0, 10.0

#: Held by the worker that looks for messages of dead ones; left behind by one that was killed.
MUTEX_KEY = "unacked_mutex"


def check_servers(settings: Settings) -> Iterator[Finding]:
    """Each Redis that is named, for what it is used for."""
    uses: dict[ServerUrl, list[str]] = {}
    for use in ("ledger", "broker", "result"):
        url: ServerUrl = getattr(settings, f"{use}_url")
        if url.scheme in REDIS_SCHEMES:
            uses.setdefault(url, []).append(use)
    for url, used in uses.items():
        server = connect(url, settings.sentinel_master)
        yield from _check_server(server, masked(url), f"redis ({', '.join(used)})", holds_money="ledger" in used)


def _check_server(client: redis.Redis, address: str, name: str, *, holds_money: bool) -> Iterator[Finding]:
    try:
        with client as server:
            asked_at = time.time()
            seconds, micros = server.time()
            skew = seconds + micros / 1e6 - (asked_at + time.time()) / 2
            info, told = server.info(), _configuration(server)
            mutex = server.pttl(MUTEX_KEY)
    except (redis.RedisError, ValueError) as error:
        remedy = "start it, or correct BIDE_BROKER_URL, BIDE_LEDGER_URL, BIDE_RESULT_URL"
        yield problem(name, f"{address} does not answer: {_reason(error)}", remedy)
        return
    yield ok(name, f"{address} answers")
    yield _version(f"version of {name}", info)
    yield _eviction(f"eviction of {name}", info, holds_money=holds_money)
    yield from _persistence(name, info, told, holds_money=holds_money)
    yield _room(name, info)
    yield _skew(f"clock of {name}", skew)
    if mutex == -1:
        yield problem(
            f"redelivery of {name}",
            "a mutex of a killed worker stands without an end: no message of a dead worker comes back",
            f"delete the key {MUTEX_KEY}, and look for clients without bide's settings on this Redis",
        )


def connect(url: ServerUrl, sentinel_master: str) -> redis.Redis:
    """A client that does not wait for long."""
    return reach(
        url,
        sentinel_master=sentinel_master,
        decode_responses=True,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def _configuration(server: redis.Redis) -> Mapping[str, str]:
    """What CONFIG says; empty where it may not be asked, as with servers that others run."""
    try:
        return {str(name): str(value) for name, value in server.config_get("*appendfsync*").items()}
    except redis.ResponseError:
        return {}


def _reason(error: Exception) -> str:
    return str(error).partition(".")[0] if isinstance(error, redis.RedisError) else "the address can't be used"


def _version(check: str, info: Mapping[str, Any]) -> Finding:
    version = str(info.get("valkey_version") or info["redis_version"])
    kind = "Valkey" if "valkey_version" in info else "Redis"
    if tuple(map(int, version.split(".")[:2])) < OLDEST_VERSION:
        return problem(check, f"{kind} {version} is too old", "take Redis 6.2 or newer, or any Valkey")
    return ok(check, f"{kind} {version}")


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
    name: str, info: Mapping[str, Any], told: Mapping[str, str], *, holds_money: bool
) -> Iterator[Finding]:
    check = f"persistence of {name}"
    if not holds_money:
        yield ok(check, "not needed: what is lost here is rebuilt from the ledger")
    elif not info.get("aof_enabled"):
        yield problem(
            check,
            "the append-only file is off: a restart forgets jobs that are paid for",
            "CONFIG SET appendonly yes, and the same in its configuration file",
        )
    elif info.get("aof_last_write_status") != "ok" or info.get("aof_last_bgrewrite_status") != "ok":
        yield problem(check, "the append-only file could not be written", "look at the server's log and disk")
    else:
        yield _flushing(check, told)


def _flushing(check: str, told: Mapping[str, str]) -> Finding:
    when = told.get("appendfsync")
    if when == "always" and told.get("no-appendfsync-on-rewrite") == "yes":
        said = "no-appendfsync-on-rewrite is yes: while the file is rewritten, a power cut may forget half a minute"
        return warning(check, said, "CONFIG SET no-appendfsync-on-rewrite no, and the same in its configuration file")
    if when == "always":
        return ok(check, "append-only file, flushed before each answer: a power cut loses nothing")
    if when is None:
        said = "append-only file; when it is flushed may not be asked here (CONFIG is closed)"
        return warning(check, said, "ask whoever runs it for appendfsync always, or know what a power cut may forget")
    lost = "about a second" if when == "everysec" else "half a minute"
    said = f"append-only file with appendfsync {when}: a power cut may forget {lost} of purchases"
    remedy = "CONFIG SET appendfsync always, and the same in its configuration file"
    return warning(check, said, remedy) if when == "everysec" else problem(check, said, remedy)


def _room(name: str, info: Mapping[str, Any]) -> Finding:
    check = f"memory of {name}"
    used, limit, machine = (int(info.get(key) or 0) for key in ("used_memory", "maxmemory", "total_system_memory"))
    whole = limit or machine
    share = used / whole if whole else 0.0
    said = f"{used / 2**20:.0f} of {whole / 2**20:.0f} MiB used ({share:.0%})"
    remedy = "raise maxmemory, shorten BIDE_TIMING__RETENTION_DAYS, or slow the bulk runs"
    if share >= FULL:
        return problem(check, said, remedy)
    if share >= FULL_SOON:
        return warning(check, said, remedy)
    return ok(
        check, said if limit else f"{said} of the machine's; without maxmemory the kernel ends it when it is full"
    )


def _skew(check: str, seconds: float) -> Finding:
    said = f"{abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this host's"
    if abs(seconds) < SKEW_SECONDS:
        return ok(check, f"within {SKEW_SECONDS:g} s of this host's")
    make = problem if abs(seconds) >= SKEW_MOST_SECONDS else warning
    return make(check, f"{said}: countdowns come early or late by as much", "let both hosts keep time by NTP")
