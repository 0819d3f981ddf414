"""`python -m workers.pages`, the process `pages` of the Procfile: what `bide pages` runs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import replace

import structlog
from aiohttp import web

from bide.bulk.runs import Runs
from bide.errors import LedgerAwayError
from bide.ledger import Ledger
from bide.ledger.connection import connect
from bide.money.expressions import Price
from bide.settings.addresses import is_loopback
from bide.settings.ledgers import Ledgers
from bide.settings.model import Settings
from bide.settings.problems import ConfigurationProblems
from bide.storage import Storage
from config import logging as bide_logging
from config.settings import settings as read_settings
from workers.io.store_options import storage_options
from workers.pages.access import Guard, Users, users_of
from workers.pages.application import LIMITS, Application, keep_quiet
from workers.pages.reads import Reads
from workers.pages.site import Site, environment
from workers.pages.thumbnails import Thumbnails
from workers.server_check import end_on_a_cluster

log = structlog.get_logger()

#: How long requests under way may take when the process is to end [seconds].
END_SECONDS = 5.0

#: Connections that may wait to be accepted.
BACKLOG = 128


def main() -> int:
    """Serve until a signal comes; 1 where the settings forbid it, or nobody may listen there."""
    try:
        settings = read_settings()
    except ConfigurationProblems as problems:
        sys.stderr.write(f"{problems}\n")
        return 1
    end_on_a_cluster(settings)
    users, where = users_of(settings.flower, os.environ), settings.pages
    if not users and not is_loopback(where.address):
        sys.stderr.write(
            f"the pages would listen on {where.address} without a login: set BIDE_FLOWER__USER and "
            "BIDE_FLOWER__PASSWORD (or FLOWER_BASIC_AUTH), or let them listen on 127.0.0.1\n"
        )
        return 1
    bide_logging.register_secrets((*settings.secrets(), *users.passwords))
    bide_logging.configure(settings.log.level, settings.log.format)
    try:
        asyncio.run(_serve(settings, users))
    except OSError as error:
        remedy = "set BIDE_PAGES__ADDRESS and BIDE_PAGES__PORT to where they may"
        sys.stderr.write(f"can't listen on {where.address} port {where.port}: {error.strerror}; {remedy}\n")
        return 1
    return 0


async def _serve(settings: Settings, users: Users) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    keep_quiet()
    with connect(settings.ledger_url, sentinel_master=settings.sentinel_master) as server:
        site = _site(settings, users, Ledger(server))
        runner = web.AppRunner(Application(site).build(), access_log=None, shutdown_timeout=END_SECONDS, **LIMITS)
        await runner.setup()
        try:
            await web.TCPSite(runner, settings.pages.address, settings.pages.port, backlog=BACKLOG).start()
            host, port, *_ = runner.addresses[0]
            sys.stdout.write(f"pages at http://{f'[{host}]' if ':' in host else host}:{port}\n")
            sys.stdout.flush()
            completing = asyncio.create_task(_complete(site))
            await stop.wait()
            completing.cancel()
        finally:
            await runner.cleanup()


def _site(settings: Settings, users: Users, ledger: Ledger) -> Site:
    options = replace(storage_options(settings), max_attempts=2, max_connections=8)
    prices = {
        (provider, name): float(price.constant)
        for provider, section in settings.providers.items()
        for name, price in section.prices or ()
        if isinstance(price, Price) and price.constant is not None
    }
    return Site(
        ledger=ledger,
        runs=Runs(ledger.server),
        storage=Storage(options),
        guard=Guard(users, url=settings.pages.url),
        reads=Reads(),
        thumbnails=Thumbnails(options),
        prices=prices,
        templates=environment(),
        ledgers=Ledgers(settings.ledgers) if settings.ledgers else None,
    )


async def _complete(site: Site) -> None:
    """Put jobs on the list that a release before it had opened; a Redis that is away leaves that to the next start."""
    with suppress(LedgerAwayError):
        if missing := await site.reads.own(site.ledger.recent.complete):
            log.info("pages.list_completed", jobs=missing)


if __name__ == "__main__":
    raise SystemExit(main())
