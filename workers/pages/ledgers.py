"""All ledgers on one page: what is under way in each, and the way to its own pages."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import redis
from aiohttp import web
from redis.backoff import NoBackoff
from redis.retry import Retry

from bide.errors import BideError
from bide.ledger import Ledger
from bide.ledger.overview import Overview, overview
from bide.redis_client import SENTINEL_MASTER, close, connect
from bide.redis_errors import words_of
from bide.settings.ledgers import Ledgers
from workers.pages.site import Site

#: How long a ledger may take to answer before it is shown as away [seconds].
ANSWER_SECONDS = 2.0


@dataclass(frozen=True)
class Shown:
    """One ledger: its numbers, or why there are none."""

    name: str
    pages_url: str | None
    overview: Overview | None
    why: str = ""


class LedgerPages:
    """The page about ledgers; there is none where the settings name none."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[web.RouteDef]:
        """The addresses."""
        return [web.get("/ledgers", self.index)] if self._site.ledgers else []

    async def index(self, request: web.Request) -> web.Response:
        """All ledgers, those that are away among them."""
        shown = await self._site.reads.shared("ledgers", self._read)
        return await self._site.page(request, "ledgers.html", ledgers=shown)

    def _read(self) -> Sequence[Shown]:
        known = self._site.ledgers
        if known is None:
            return []
        with ThreadPoolExecutor(len(known.names)) as pool:  # all at once: one that is away takes its time
            return list(pool.map(lambda name: read(known, name), known.names))


def read(known: Ledgers, name: str) -> Shown:
    """One ledger as it is shown."""
    environment, pages = known.environment(name), known.sections[name].pages_url
    server = connect(
        environment.get("BIDE_LEDGER_URL") or environment["BIDE_BROKER_URL"],
        sentinel_master=environment.get("BIDE_SENTINEL_MASTER", SENTINEL_MASTER),
        decode_responses=True,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        return Shown(name, pages, overview(Ledger(server)))
    except BideError as error:
        return Shown(name, pages, None, str(error))
    except redis.RedisError as error:
        return Shown(name, pages, None, words_of(error))
    finally:
        close(server)
