"""The web server that strangers can reach: it takes POSTs at addresses that we gave out, and little of anything.

A call is `POST .../{provider}/{account}/{job}/{proof}`; what a proxy puts before these four parts does not matter. The
answers: 200 taken; 404 no address of ours; 405 not POST; 408, 413 a body that is too slow or too large; 503 come back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis
import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bide.errors import LedgerAwayError
from bide.ledger import AccountName
from workers.hooks.handler import Handler

log = structlog.get_logger()

#: The largest body that is read, to be thrown away [bytes], and how long it may take [seconds].
MOST_BODY_BYTES, BODY_SECONDS = 64 * 1024, 10.0

#: What a connection may hold: silent ones are closed, headers are few and small, packed bodies stay packed.
LIMITS: dict[str, Any] = {
    "keepalive_timeout": 15.0,
    "max_headers": 64,
    "max_field_size": 2048,
    "auto_decompress": False,
}

#: How many calls are taken to the ledger at once, and how many may wait for that.
THREADS, MOST_WAITING = 8, 256

#: When a provider may repeat a call that could not be taken [seconds].
COME_BACK_SECONDS = 10

#: How often counts are written [seconds].
FLUSH_SECONDS = 5.0


class Endpoint:
    """One application; `MOST_WAITING` bounds what a flood can hold."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="hook")
        #: The connections with a call that is being taken.
        self.busy: set[object] = set()

    def application(self) -> web.Application:
        """To be served; ends its threads when it is cleaned up."""
        app = web.Application(client_max_size=MOST_BODY_BYTES)
        app.router.add_get("/healthz", _healthy)
        app.router.add_post("/{path:.*}", self._called)
        app.cleanup_ctx.append(self._counting)
        return app

    async def _called(self, request: web.Request) -> web.Response:
        account, job_id, proof = _address_of(request.match_info["path"])
        if not self._handler.knows(account, job_id, proof):
            return web.Response(status=404, text="not found\n")
        if len(self.busy) >= MOST_WAITING:
            return _come_back()
        self.busy.add(request.protocol)
        try:
            return await self._take(request, account, job_id)
        finally:
            self.busy.discard(request.protocol)

    async def _take(self, request: web.Request, account: AccountName, job_id: str) -> web.Response:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                await request.read()  # so that the sender sees our answer, and not a closed connection
        except TimeoutError:
            return web.Response(status=408, text="too slow\n")
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._handler.take, account, job_id)
        except LedgerAwayError as error:
            log.warning("hook.ledger_away", account=str(account), job_id=job_id, reason=str(error))
            return _come_back()
        return web.Response(text="ok\n")

    async def _counting(self, _: web.Application) -> AsyncIterator[None]:
        """Write the counts now and then, and at the end."""
        counting = asyncio.create_task(self._count())
        yield
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)
        await self._flush()
        self._pool.shutdown()

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self._flush()

    async def _flush(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._handler.flush)
        except redis.RedisError as error:
            log.warning("hook.not_counted", reason=type(error).__name__)


def _address_of(path: str) -> tuple[AccountName, str, str]:
    """The last four parts of a path; blanks where there are fewer, which prove nothing."""
    *_, provider, account, job_id, proof = ["", "", "", *path.split("/")]
    return AccountName(provider, account), job_id, proof


def _come_back() -> web.Response:
    return web.Response(status=503, headers={"Retry-After": str(COME_BACK_SECONDS)}, text="not now\n")


def keep_to_ourselves() -> None:
    """What strangers send that is no HTTP, or broken, is not logged: neither their floods nor what they quote."""
    logging.getLogger("aiohttp.server").addFilter(_is_ours)


def _is_ours(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | web.RequestPayloadError))


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")
