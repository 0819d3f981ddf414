"""The web application: its addresses, what a request passes on its way in, and what each answer has on its way out."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import redis
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from bide.errors import BideError, LedgerAwayError, StorageError
from workers.pages.access import HEADERS
from workers.pages.accounts import AccountPages
from workers.pages.jobs import JobPages
from workers.pages.ledgers import LedgerPages
from workers.pages.live import Live, signs
from workers.pages.runs import RunPages
from workers.pages.site import FORM, USER, Site
from workers.pages.unconfirmed import UnconfirmedPages

log = structlog.get_logger()

STATIC = Path(__file__).parent / "static"

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

#: The largest form [bytes], and what a connection may hold.
MOST_FORM_BYTES = 16 * 1024
LIMITS: dict[str, Any] = {"keepalive_timeout": 30.0, "max_headers": 100, "max_field_size": 8190}

#: Addresses that ask for no login: the health check, and files that are the same for all.
OPEN = "/healthz"


class Application:
    """The pages of one deployment, to be served."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._live = Live(site.reads, lambda: signs(site.ledger))
        self._files = {path.name: path.read_bytes() for path in STATIC.iterdir() if path.suffix in TYPES}
        site.templates.globals["version"] = hashlib.sha256(b"".join(self._files.values())).hexdigest()[:12]

    def build(self) -> web.Application:
        """The application of aiohttp; it ends its threads and processes when it is cleaned up."""
        app = web.Application(client_max_size=MOST_FORM_BYTES, middlewares=[self._judged, self._let_in])
        app.router.add_get(OPEN, _healthy)
        app.router.add_get("/static/{name}", self._static)
        app.router.add_get("/events", self._live.serve)
        for pages in (JobPages, UnconfirmedPages, RunPages, AccountPages, LedgerPages):
            app.router.add_routes(pages(self._site).routes())
        app.on_response_prepare.append(_with_headers)
        app.on_shutdown.append(self._end_events)
        app.cleanup_ctx.append(self._opened)
        return app

    @web.middleware
    async def _let_in(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Login for all, and for a form its origin and token."""
        if request.path == OPEN:
            return await handler(request)
        request[USER] = self._site.guard.user(request)
        if request.method not in ("GET", "HEAD"):
            form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
            self._site.guard.check_form(request, form, request[USER])
            request[FORM] = form
        return await handler(request)

    @web.middleware
    async def _judged(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Errors as pages."""
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400 or USER not in request:
                raise
            return self._sorry(request, error.status, error.text or error.reason)
        except LedgerAwayError as error:
            log.warning("pages.ledger_away", reason=str(error))
            return self._sorry(request, 503, "Redis does not answer: nothing is lost, try again in a while")
        except StorageError as error:
            log.warning("pages.store_away", reason=str(error))
            return self._sorry(request, 502, "the object store does not answer, or refuses our keys: see `bide doctor`")
        except (BideError, ValueError, redis.RedisError) as error:
            log.exception("pages.broke", path=request.path)
            return self._sorry(request, 500, f"this page can't be made: {type(error).__name__}; the log says more")

    def _sorry(self, request: web.Request, status: int, message: str) -> web.Response:
        frame = {"user": request[USER], "path": request.path, "live": "", "several": False, "unconfirmed_count": 0}
        text = self._site.templates.get_template("error.html").render(**frame, status=status, message=message)
        return web.Response(text=text, content_type="text/html", status=status)

    async def _static(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in self._files:
            raise web.HTTPNotFound(text="there is no such file")
        headers = {"Cache-Control": "private, max-age=86400"}
        kind = TYPES[Path(name).suffix]
        return web.Response(body=self._files[name], content_type=kind, charset="utf-8", headers=headers)

    async def _end_events(self, _: web.Application) -> None:
        await self._live.close()

    async def _opened(self, _: web.Application) -> AsyncIterator[None]:
        yield
        self._site.thumbnails.close()
        self._site.reads.close()


async def _with_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "bide"


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


def keep_quiet() -> None:
    """Requests that are no HTTP, or broken off, are no errors of ours."""
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
