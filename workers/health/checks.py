"""`python -m workers.health worker|poller|beat|flower|metrics|hooks`: exits with 0 only if that process does its work.

For a worker that means: its loop turns, and it takes messages. One that lives, answers pings and takes none is not
healthy. Most of it stands in a file (`workers.health.heartbeat`); the broker is asked only where that leaves it open.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from workers.health.heartbeat import Heartbeat, heartbeats

T = TypeVar("T")

#: How long a loop may stand still, and a worker with a free thread leave messages waiting [seconds].
PATIENCE_SECONDS = 30.0

#: How long a server may take to answer a check [seconds].
ANSWER_SECONDS = 5.0

#: What the beat that keeps the schedules holds; RedBeat renews it at each of its turns.
BEAT_LOCK_KEY = "bide:redbeat::lock"

#: A key that is never there: a Redis that takes writes answers that it changed nothing.
PROBE_KEY = "bide:probe"


class UnhealthyError(Exception):
    """The process does not do its work; the message says what is missing."""


def check_workers(kind: str, *, patience_seconds: float) -> str:
    """What is well with this machine's workers whose node name begins with `kind`; raises `UnhealthyError`."""
    found = list(heartbeats(kind))
    if not found:
        raise UnhealthyError(f"no {kind} of this user notes a heartbeat on this machine")
    now = time.monotonic()
    return "; ".join(
        judge(heartbeat, now=now, patience_seconds=patience_seconds, waiting=waiting) for heartbeat in found
    )


def judge(heartbeat: Heartbeat, *, now: float, patience_seconds: float, waiting: Callable[[Sequence[str]], int]) -> str:
    """What is well with one worker; raises `UnhealthyError`. `waiting` counts the messages in queues."""
    if (silent := now - heartbeat.ticked_at) > patience_seconds:
        raise UnhealthyError(f"{heartbeat.node}: its loop has not turned for {silent:.0f} s")
    if heartbeat.refused:
        raise UnhealthyError(f"{heartbeat.node} takes nothing: {heartbeat.refused}")
    idle = now - max(heartbeat.taken_at, heartbeat.free_since)
    busy = f"{heartbeat.node}: {heartbeat.running} of {heartbeat.threads} threads busy"
    if idle > patience_seconds and (left := waiting(heartbeat.queues)):
        raise UnhealthyError(
            f"{busy}, {left} messages wait in {', '.join(heartbeat.queues)}, none taken for {idle:.0f} s"
        )
    return busy


def waiting(queues: Sequence[str]) -> int:
    """How many messages wait in `queues`; raises `UnhealthyError` where the broker does not say."""
    from config.settings import settings  # noqa: PLC0415 - most checks get along without it

    url = settings().broker_url
    if url.scheme in ("redis", "rediss", "unix", "sentinel"):
        return _ask_redis(url, lambda server: sum(int(server.llen(queue)) for queue in queues))
    return _waiting_at_broker(queues)


def check_beat() -> str:
    """A beat has turned within the time its lock lives; raises `UnhealthyError`."""
    from config.settings import settings  # noqa: PLC0415 - as above

    def ask(server: Any) -> int:
        server.set(PROBE_KEY, "", xx=True)  # a beat that holds the lock still can do nothing where this is refused
        return int(server.pttl(BEAT_LOCK_KEY))

    left = _ask_redis(settings().ledger_url, ask)
    if left < 0:
        raise UnhealthyError("no beat holds the lock on the schedules")
    return f"a beat holds the lock on the schedules for another {left / 1000:.0f} s"


def check_flower() -> str:
    """Flower answers; raises `UnhealthyError`."""
    from config.settings import settings  # noqa: PLC0415 - as above

    return _check_web("Flower", settings().flower.address, settings().flower.port, "healthcheck")


def check_metrics() -> str:
    """The exporter answers; raises `UnhealthyError`."""
    from config.settings import settings  # noqa: PLC0415 - as above

    return _check_web("the exporter", settings().metrics.address, settings().metrics.port, "healthz")


def check_hooks() -> str:
    """The endpoint that providers call answers; raises `UnhealthyError`."""
    from config.settings import settings  # noqa: PLC0415 - as above

    return _check_web("the endpoint", settings().hooks.address, settings().hooks.port, "healthz")


def _check_web(name: str, address: str, port: int, path: str) -> str:
    import urllib.request  # noqa: PLC0415 - slow to import, and only these checks need it

    everywhere = address in ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not listened on
    url = f"http://{'127.0.0.1' if everywhere else address}:{port}/{path}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=ANSWER_SECONDS):
            return f"{name} answers at {url}"
    except OSError as error:
        raise UnhealthyError(f"{name} does not answer at {url}: {error}") from error


def _ask_redis(url: str, ask: Callable[[Any], T]) -> T:
    import redis  # noqa: PLC0415 - as above
    from redis.backoff import NoBackoff  # noqa: PLC0415 - as above
    from redis.retry import Retry  # noqa: PLC0415 - as above

    from bide.redis_client import connect  # noqa: PLC0415 - as above
    from bide.redis_errors import why_away  # noqa: PLC0415 - as above
    from config.settings import settings  # noqa: PLC0415 - as above

    times = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS}
    try:
        with connect(url, sentinel_master=settings().sentinel_master, retry=Retry(NoBackoff(), 0), **times) as server:
            return ask(server)
    except redis.RedisError as error:
        raise UnhealthyError(f"Redis {why_away(error)}") from error


def _waiting_at_broker(queues: Sequence[str]) -> int:
    """Any broker that Celery knows; slower, since it takes Celery to ask."""
    from kombu.exceptions import OperationalError  # noqa: PLC0415 - as above

    from workers.app import app  # noqa: PLC0415 - as above

    try:
        with app.connection_for_read() as connection:
            channel: Any = connection.default_channel
            return sum(channel.queue_declare(queue, passive=True).message_count for queue in queues)
    except (OperationalError, OSError) as error:
        raise UnhealthyError(f"the broker does not answer: {type(error).__name__}") from error


def check(process: str, *, patience_seconds: float) -> str:
    """What is well with a process of the Procfile; raises `UnhealthyError`."""
    match process:
        case "beat":
            return check_beat()
        case "flower":
            return check_flower()
        case "metrics":
            return check_metrics()
        case "hooks":
            return check_hooks()
        case kind:
            return check_workers(kind, patience_seconds=patience_seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Say on one line how the process is."""
    parser = argparse.ArgumentParser(prog="python -m workers.health", description=main.__doc__)
    parser.add_argument("process", choices=("worker", "poller", "beat", "flower", "metrics", "hooks"))
    parser.add_argument(
        "--patience", type=float, default=PATIENCE_SECONDS, metavar="SECONDS", help="default: %(default)g"
    )
    told = parser.parse_args(arguments)
    try:
        line = check(told.process, patience_seconds=told.patience)
    except (UnhealthyError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{line}\n")
    return 0
