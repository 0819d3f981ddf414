"""`python -m workers.hooks`: what `bide hooks` runs. A process of its own, since strangers can reach it."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import cast

import redis
from aiohttp import web
from redis.backoff import NoBackoff
from redis.retry import Retry

from bide import redis_client
from bide.errors import ConfigurationError
from bide.ledger import AccountName, Ledger
from bide.settings.model import Settings
from bide.settings.problems import ConfigurationProblems
from bide.webhooks.incoming import Hooks
from config import logging as bide_logging
from config.settings import settings as read_settings
from workers.accounts import check_providers
from workers.hooks.door import Door, listen
from workers.hooks.endpoint import LIMITS, Endpoint, keep_to_ourselves
from workers.hooks.handler import Handler
from workers.metrics.tally import tally
from workers.server_check import end_on_a_cluster

#: The longest a call waits for Redis [seconds]: well below the half minute after which a provider gives it up.
ANSWER_SECONDS = 4.0

#: How long calls under way may take when the process is to end [seconds].
END_SECONDS = 8.0


def main() -> int:
    """Serve until a signal comes; 1 where there is nothing to serve, or nowhere."""
    try:
        settings = read_settings()
        check_providers(settings)
    except (ConfigurationProblems, ConfigurationError) as problems:
        sys.stderr.write(f"{problems}\n")
        return 1
    end_on_a_cluster(settings)
    if settings.hooks.url is None or settings.hooks.secret is None:
        sys.stderr.write(
            "no provider knows an address to call: set BIDE_HOOKS__URL and BIDE_HOOKS__SECRET, here and for workers "
            "(docs/webhooks.md), or do without `bide hooks`\n"
        )
        return 1
    bide_logging.register_secrets(settings.secrets())
    bide_logging.configure(settings.log.level, settings.log.format)
    with _connect(settings) as server:
        return _serve(settings, _handler(settings, server))


def _connect(settings: Settings) -> redis.Redis:
    """A client that does not wait long: a provider repeats a call that got 503, or the job is polled in time."""
    return redis_client.connect(
        settings.ledger_url,
        sentinel_master=settings.sentinel_master,
        decode_responses=True,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 1),  # a connection that has stood idle may be closed
    )


def _handler(settings: Settings, server: redis.Redis) -> Handler:
    from workers.app import app  # noqa: PLC0415 - slow to import, and only now is it sure that it is needed
    from workers.services.dispatcher import Dispatcher  # noqa: PLC0415 - slow to import, and only now is it sure that it is needed

    return Handler(
        Ledger(server),
        hooks_of=_hooks_of(settings),
        send=Dispatcher(app).send,
        providers=settings.providers,
        tally=tally,
    )


def _hooks_of(settings: Settings) -> Callable[[AccountName], Hooks]:
    url, secret = settings.hooks.url or "", settings.hooks.secret
    key = secret.get_secret_value() if secret else ""
    return lambda name: Hooks(url, key, *name)


def _serve(settings: Settings, handler: Handler) -> int:
    where = settings.hooks
    try:
        listeners = listen(where.address, where.port)
    except OSError as error:
        remedy = "set BIDE_HOOKS__ADDRESS and BIDE_HOOKS__PORT to where it may"
        sys.stderr.write(f"can't listen on {where.address} port {where.port}: {error.strerror}; {remedy}\n")
        return 1
    with ExitStack() as stack:
        for listener in listeners:
            stack.enter_context(listener)
        asyncio.run(_until_asked(listeners, Endpoint(handler)))
    return 0


async def _until_asked(listeners: Sequence[socket.socket], endpoint: Endpoint) -> None:
    """Serve until SIGTERM or SIGINT. No access log: its addresses would be secrets no more."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    keep_to_ourselves()
    runner = web.AppRunner(endpoint.application(), access_log=None, shutdown_timeout=END_SECONDS, **LIMITS)
    await runner.setup()
    try:
        serving = asyncio.create_task(Door(cast(web.Server, runner.server), busy=endpoint.busy).serve(listeners))
        serving.add_done_callback(lambda _: stop.set())  # it ends by itself only where it broke
        host, bound, *_ = listeners[0].getsockname()
        sys.stdout.write(f"hooks at http://{f'[{host}]' if ':' in host else host}:{bound}\n")
        sys.stdout.flush()
        await stop.wait()
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    raise SystemExit(main())
