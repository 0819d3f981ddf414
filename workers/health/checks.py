"""`python -m workers.health PROCESS`: exits with 0 only if that process of the Procfile, or `hooks`, does its work.

For a worker that means: its loop turns, and it consumes messages. A worker that only answers pings is not healthy. The
check reads the heartbeat (`workers.health.heartbeat`), and asks the broker only about a worker that has been idle.
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

#: The key of RedBeat's lock, which the active beat renews at each turn.
BEAT_LOCK_KEY = "bide:redbeat::lock"

#: A key that is never there: a Redis that takes writes answers that it changed nothing.
PROBE_KEY = "bide:probe"


class UnhealthyError(Exception):
    """The process does not do its work; the message names what is missing."""


def check_workers(kind: str, *, patience_seconds: float) -> str:
    """A line about this machine's workers whose node name begins with `kind`; raises `UnhealthyError`."""
    found = list(heartbeats(kind))
    if not found:
        raise UnhealthyError(f"no {kind} of this user notes a heartbeat on this machine")
    now = time.monotonic()
    return "; ".join(
        judge(heartbeat, now=now, patience_seconds=patience_seconds, count=count_messages) for heartbeat in found
    )


def judge(heartbeat: Heartbeat, *, now: float, patience_seconds: float, count: Callable[[Sequence[str]], int]) -> str:
    """A line about one worker; raises `UnhealthyError`. `count` returns how many messages are in queues."""
    if (still := now - heartbeat.ticked_at) > patience_seconds:
        raise UnhealthyError(f"{heartbeat.node}: its loop has not turned for {still:.0f} s")
    if heartbeat.refused:
        raise UnhealthyError(f"{heartbeat.node} takes nothing: {heartbeat.refused}")
    idle = now - max(heartbeat.taken_at, heartbeat.free_since)
    busy = f"{heartbeat.node}: {heartbeat.running} of {heartbeat.threads} threads busy"
    if idle > patience_seconds and (messages := count(heartbeat.queues)):
        raise UnhealthyError(
            f"{busy}, {messages} messages wait in {', '.join(heartbeat.queues)}, none taken for {idle:.0f} s"
        )
    return f"{busy}; it submits nothing: {heartbeat.store_refused}" if heartbeat.store_refused else busy


def count_messages(queues: Sequence[str]) -> int:
    """How many messages are in `queues`; raises `UnhealthyError` where the broker does not answer."""
    from config.settings import settings  # noqa: PLC0415 - most checks get along without it

    url = settings().broker_url
    if url.scheme in ("redis", "rediss", "unix", "sentinel"):
        return _ask_redis(url, lambda server: sum(int(server.llen(queue)) for queue in queues))
    return _count_by_kombu(queues)


def check_beat() -> str:
    """A line about beat, which has turned while its lock lives; raises `UnhealthyError`."""
    from config.settings import settings  # noqa: PLC0415 - most checks get along without it

    def ask(server: Any) -> int:
        server.set(PROBE_KEY, "", xx=True)  # a beat with the lock can do nothing where this is refused
        return int(server.pttl(BEAT_LOCK_KEY))

    left = _ask_redis(settings().ledger_url, ask)
    if left < 0:
        raise UnhealthyError("no beat holds the lock on the schedules")
    return f"a beat holds the lock on the schedules for another {left / 1000:.0f} s"


def check_flower() -> str:
    """A line about Flower, which answers; raises `UnhealthyError`."""
    from config.settings import settings  # noqa: PLC0415 - most checks get along without it

    return _check_web("Flower", settings().flower.address, settings().flower.port, "healthcheck")


def check_metrics() -> str:
    """A line about the exporter, which answers; raises `UnhealthyError`."""
    from config.settings import settings  # noqa: PLC0415 - most checks get along without it

    return _check_web("the exporter", settings().metrics.address, settings().metrics.port, "healthz")


def check_pages() -> str:
    """A line about the pages for people, which answer; raises `UnhealthyError`."""
    from config.settings import settings  # noqa: PLC0415 - slow to import, and --help does not need it

    return _check_web("the pages", settings().pages.address, settings().pages.port, "healthz")


def check_hooks() -> str:
    """A line about the endpoint for providers, which answers; raises `UnhealthyError`."""
    from config.settings import settings  # noqa: PLC0415 - most checks get along without it

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
    import redis  # noqa: PLC0415 - slow to import, and only these checks need it
    from redis.backoff import NoBackoff  # noqa: PLC0415 - slow to import, and only these checks need it
    from redis.retry import Retry  # noqa: PLC0415 - slow to import, and only these checks need it

    from bide.redis_client import connect  # noqa: PLC0415 - slow to import, and only these checks need it
    from bide.redis_errors import why_away  # noqa: PLC0415 - slow to import, and only these checks need it
    from config.settings import settings  # noqa: PLC0415 - most checks get along without it

    times = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS}
    try:
        with connect(url, sentinel_master=settings().sentinel_master, retry=Retry(NoBackoff(), 0), **times) as server:
            return ask(server)
    except redis.RedisError as error:
        raise UnhealthyError(f"Redis {why_away(error)}") from error


def _count_by_kombu(queues: Sequence[str]) -> int:
    """How many messages are in queues of any broker that kombu knows; slower, since Celery has to be imported."""
    from kombu.exceptions import OperationalError  # noqa: PLC0415 - slow to import, and only these checks need it

    from workers.app import app  # noqa: PLC0415 - slow to import, and only these checks need it

    try:
        with app.connection_for_read() as connection:
            channel: Any = connection.default_channel
            return sum(channel.queue_declare(queue, passive=True).message_count for queue in queues)
    except (OperationalError, OSError) as error:
        raise UnhealthyError(f"the broker does not answer: {type(error).__name__}") from error


def check(process: str, *, patience_seconds: float) -> str:
    """A line about a process of the Procfile; raises `UnhealthyError`."""
    match process:
        case "beat":
            return check_beat()
        case "flower":
            return check_flower()
        case "metrics":
            return check_metrics()
        case "pages":
            return check_pages()
        case "hooks":
            return check_hooks()
        case kind:
            return check_workers(kind, patience_seconds=patience_seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line about the process."""
    parser = argparse.ArgumentParser(prog="python -m workers.health", description=main.__doc__)
    parser.add_argument("process", choices=("worker", "poller", "beat", "flower", "metrics", "pages", "hooks"))
    parser.add_argument(
        "--patience", type=float, default=PATIENCE_SECONDS, metavar="SECONDS", help="default: %(default)g"
    )
    options = parser.parse_args(arguments)
    try:
        line = check(options.process, patience_seconds=options.patience)
    except (UnhealthyError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{line}\n")
    return 0
