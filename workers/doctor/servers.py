"""The Redis servers: whether they keep what they acknowledge, and have room for it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bide.errors import ClusterError
from bide.redis_client import SENTINEL_MASTER, close
from bide.redis_client import connect as client_of
from bide.redis_errors import REFUSALS, refusal, words_of
from bide.settings.addresses import REDIS_SCHEMES, ServerUrl, masked
from bide.settings.model import Settings
from workers.doctor.findings import Finding, Level, ok, problem, run, warning
from workers.doctor.redis_settings import check_settings, configuration
from workers.doctor.replication import Reach, Replication, check_replication
from workers.doctor.safety import check_safety
from workers.doctor.sentinels import check_sentinels
from workers.health.checks import PROBE_KEY

#: How long a server may take to answer [seconds].
ANSWER_SECONDS = 5.0

#: kombu asks with a form of ZRANGE that came with this version, for messages whose worker has died.
OLDEST_VERSION = (6, 2)

#: How full a server may be: from here on it is a warning, from there on a problem [share of its limit].
FULL_SOON, FULL = 0.75, 0.9

#: How far clocks may be apart: one host sets a countdown's time, another one waits for it [seconds].
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
        safe = settings.ledger.safe == "replica"
        yield from _check_server(url, used, partial(connect, sentinel_master=settings.sentinel_master), safe=safe)
        if url.scheme == "sentinel":
            name = f"sentinels of redis ({', '.join(used)})"
            yield from check_sentinels(name, url, settings.sentinel_master, connect)
    yield from run("safety of the ledger", partial(_check_safety, settings))


def _check_safety(settings: Settings) -> Iterator[Finding]:
    return check_safety(settings, partial(connect, sentinel_master=settings.sentinel_master))


def can_be_written(findings: Iterable[Finding]) -> bool:
    """Whether every server answered and takes writes, by what `check_servers` found."""
    return not any(
        found.level is Level.PROBLEM and found.check.startswith(("redis", "writes", "replicas")) for found in findings
    )


def _check_server(url: ServerUrl, used: Sequence[str], reach: Reach, *, safe: bool) -> Iterator[Finding]:
    name, server = f"redis ({', '.join(used)})", reach(url)
    try:
        asked_at = time.time()
        seconds, micros = server.time()
        skew = seconds + micros / 1e6 - (asked_at + time.time()) / 2
        info, config = server.info(), configuration(server)
        mutex, refused = server.pttl(MUTEX_KEY), _refused(server)
    except ClusterError as error:
        wrong, _, remedy = str(error).partition(": ")
        yield problem(name, wrong, remedy)
        return
    except (redis.RedisError, ValueError) as error:
        master = ", BIDE_SENTINEL_MASTER" if url.scheme == "sentinel" else ""
        remedy = f"start it, or correct BIDE_BROKER_URL, BIDE_LEDGER_URL, BIDE_RESULT_URL{master}"
        yield problem(name, f"{masked(url)} does not answer: {_reason(error)}", remedy)
        return
    finally:
        close(server)
    replication = Replication(name, url, used, info, config, safe=safe)
    yield _role(replication)
    if refused and not replication.leader:
        yield problem(f"writes of {name}", f"it refuses them: {refused}", REFUSALS[refused])
    yield _version(f"version of {name}", info)
    holds_money, replicated = "ledger" in used, replication.may_fail_over
    yield from check_settings(name, info, config, holds_money=holds_money, replicated=replicated)
    yield from check_replication(replication, reach)
    yield _room(name, info)
    yield _skew(f"clock of {name}", skew)
    if mutex == -1:
        yield problem(
            f"redelivery of {name}",
            "a mutex of a killed worker stands without an end: no message of a dead worker comes back",
            f"delete the key {MUTEX_KEY}, and look for clients without bide's settings on this Redis",
        )


def _role(server: Replication) -> Finding:
    if not server.leader:
        return ok(server.name, f"{masked(server.url)} answers")
    words = f"{masked(server.url)} leads to a replica of {server.leader}, which takes no writes that last"
    remedy = "name the leader in BIDE_LEDGER_URL and BIDE_BROKER_URL, or its sentinels: sentinel://HOST:26379"
    return problem(server.name, words, remedy)


def _refused(server: redis.Redis) -> str:
    """The code with which it refuses to write, '' where it does not."""
    try:
        server.set(PROBE_KEY, "", xx=True)
    except redis.RedisError as error:
        if code := refusal(error):
            return code
        raise
    return ""


def connect(url: ServerUrl, sentinel_master: str = SENTINEL_MASTER) -> redis.Redis:
    """A client that does not wait for long."""
    return client_of(
        url,
        sentinel_master=sentinel_master,
        decode_responses=True,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def _reason(error: Exception) -> str:
    return words_of(error) if isinstance(error, redis.RedisError) else "the address can't be used"


def _version(check: str, info: Mapping[str, Any]) -> Finding:
    version = str(info.get("valkey_version") or info["redis_version"])
    kind = "Valkey" if "valkey_version" in info else "Redis"
    if tuple(map(int, version.split(".")[:2])) < OLDEST_VERSION:
        return problem(check, f"{kind} {version} is too old", "take Redis 6.2 or newer, or any Valkey")
    return ok(check, f"{kind} {version}")


def _room(name: str, info: Mapping[str, Any]) -> Finding:
    check = f"memory of {name}"
    used, limit, machine = (int(info.get(key) or 0) for key in ("used_memory", "maxmemory", "total_system_memory"))
    whole = limit or machine
    share = used / whole if whole else 0.0
    words = f"{used / 2**20:.0f} of {whole / 2**20:.0f} MiB used ({share:.0%})"
    remedy = "raise maxmemory, shorten BIDE_TIMING__RETENTION_DAYS, or slow the bulk runs"
    if share >= FULL:
        return problem(check, words, remedy)
    if share >= FULL_SOON:
        return warning(check, words, remedy)
    return ok(
        check, words if limit else f"{words} of the machine's; without maxmemory the kernel ends it when it is full"
    )


def _skew(check: str, seconds: float) -> Finding:
    words = f"{abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this host's"
    if abs(seconds) < SKEW_SECONDS:
        return ok(check, f"within {SKEW_SECONDS:g} s of this host's")
    make = problem if abs(seconds) >= SKEW_MOST_SECONDS else warning
    return make(check, f"{words}: countdowns come early or late by as much", "let both hosts keep time by NTP")
