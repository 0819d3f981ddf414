"""`python -m workers.metrics`, the process `metrics` of the Procfile: what `bide metrics` runs."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

import redis
from prometheus_client import CollectorRegistry, generate_latest
from redis.backoff import NoBackoff
from redis.retry import Retry

from bide import redis_client
from bide.settings.model import Settings
from bide.settings.problems import ConfigurationProblems
from config import logging as bide_logging
from config.settings import settings as read_settings
from workers.metrics.exporter import ANSWER_SECONDS, BideCollector, Server, application
from workers.metrics.reading import depths, read
from workers.server_check import end_on_a_cluster


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes, or print the metrics once."""
    parser = argparse.ArgumentParser(prog="bide metrics", description=main.__doc__)
    parser.add_argument("--once", action="store_true", help="print them and end; exit code 1 if Redis does not answer")
    asked = parser.parse_args(arguments)
    try:
        settings = read_settings()
    except ConfigurationProblems as problems:
        sys.stderr.write(f"{problems}\n")
        return 1
    end_on_a_cluster(settings)
    bide_logging.register_secrets(settings.secrets())
    bide_logging.configure(settings.log.level, settings.log.format, stream=sys.stderr if asked.once else None)
    collector = BideCollector(lambda: read(server, depths))
    with _connect(settings) as server:
        try:
            return _print(collector) if asked.once else _serve(collector, settings)
        finally:
            collector.close()


def _connect(settings: Settings) -> redis.Redis:
    """Impatient: the next scrape tries again."""
    return redis_client.connect(
        settings.ledger_url,
        sentinel_master=settings.sentinel_master,
        decode_responses=True,
        socket_timeout=ANSWER_SECONDS / 2,
        socket_connect_timeout=ANSWER_SECONDS / 2,
        retry=Retry(NoBackoff(), 0),
    )


def _print(collector: BideCollector) -> int:
    registry = CollectorRegistry()
    registry.register(collector)
    text = generate_latest(registry).decode()
    sys.stdout.write(text)
    return 0 if "\nbide_up 1.0\n" in text else 1


def _serve(collector: BideCollector, settings: Settings) -> int:
    where = settings.metrics
    try:
        web = Server(where.address, where.port, application(collector))
    except OSError as error:
        remedy = "set BIDE_METRICS__ADDRESS and BIDE_METRICS__PORT to where it may"
        sys.stderr.write(f"can't listen on {where.address} port {where.port}: {error.strerror}; {remedy}\n")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with web:
        sys.stdout.write(f"metrics at {web.url}/metrics\n")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            web.serve_forever()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
