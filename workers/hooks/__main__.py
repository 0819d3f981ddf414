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
from bide.ledger import AccountName
from bide.ledger.poll_now import Calls
from bide.settings.model import Settings
from bide.settings.problems import ConfigurationProblems
from bide.webhooks.incoming import Hooks
from config import logging as bide_logging
from config.settings import settings
from workers.accounts import check_providers
from workers.hooks.door import Door, listen
from workers.hooks.endpoint import LIMITS, Endpoint, keep_to_ourselves
from workers.hooks.handler import Handler
from workers.metrics.tally import tally

#: The longest a call waits for Redis [seconds]: well below the half minute after which a provider gives it up.
ANSWER_SECONDS = 4.0

#: How long calls under way may take when the process is to end [seconds].
END_SECONDS = 8.0


def main() -> int:
    """Serve until a signal comes; 1 where there is nothing to serve, or nowhere."""
    try:
        told = settings()
        check_providers(told)
    except (ConfigurationProblems, ConfigurationError) as problems:
        sys.stderr.write(f"{problems}\n")
        return 1
    if told.hooks.url is None or told.hooks.secret is None:
        sys.stderr.write(
            "no provider is told to call: set BIDE_HOOKS__URL and BIDE_HOOKS__SECRET, here and for workers "
            "(docs/webhooks.md), or do without `bide hooks`\n"
        )
        return 1
    bide_logging.register_secrets(told.secrets())
    bide_logging.configure(told.log.level, told.log.format)
    with _connect(told) as server:
        return _serve(told, _handler(told, server))


def _connect(told: Settings) -> redis.Redis:
    """Impatient: a provider that is told to come back does so, or the job is polled in its time."""
    return redis_client.connect(
        told.ledger_url,
        sentinel_master=told.sentinel_master,
        decode_responses=True,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 1),  # a connection that has stood idle may be closed
    )


def _handler(told: Settings, server: redis.Redis) -> Handler:
    from workers.app import app  # noqa: PLC0415 - slow to import, and only now is it sure that it is needed
    from workers.services.dispatcher import Dispatcher  # noqa: PLC0415 - as above

    return Handler(
        Calls(server),
        hooks_of=_hooks_of(told),
        send=Dispatcher(app).send,
        providers=told.providers,
        tally=tally,
    )


def _hooks_of(told: Settings) -> Callable[[AccountName], Hooks]:
    url, secret = told.hooks.url or "", told.hooks.secret
    key = secret.get_secret_value() if secret else ""
    return lambda name: Hooks(url, key, *name)


def _serve(told: Settings, handler: Handler) -> int:
    where = told.hooks
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
