"""The sandbox's own endpoints, under /_sandbox: the ledger, the bill, the counts, the faults, a film of any size."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from aiohttp import web

from sandbox.answers import reply
from sandbox.bill import PriceError, bill, read_price
from sandbox.media import stream
from sandbox.provider import LONG_FILM_PATH
from sandbox.rules import RuleError
from sandbox.video import long_film
from sandbox.world import World

#: Largest film that may be ordered [bytes]: 1 TiB.
_LONGEST_FILM = 2**40


class Control:
    """Handlers for tests, benches and the curious; no key is asked."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            web.get("/_sandbox/purchases", self._purchases),
            web.get("/_sandbox/bill", self._bill),
            web.get("/_sandbox/prices", self._prices),
            web.post("/_sandbox/prices", self._price),
            web.delete("/_sandbox/prices", self._unprice),
            web.get("/_sandbox/stats", self._stats),
            web.post("/_sandbox/reset", self._reset),
            web.get("/_sandbox/faults", self._faults),
            web.post("/_sandbox/faults", self._order),
            web.delete("/_sandbox/faults", self._clear),
            web.get(LONG_FILM_PATH, self._film),
        )

    async def _purchases(self, request: web.Request) -> web.StreamResponse:
        return reply([job.receipt() for job in self._world.purchases.of(request.query.get("provider"))])

    async def _bill(self, request: web.Request) -> web.StreamResponse:
        return reply(bill(self._world.purchases.of(request.query.get("provider")), time.time()))

    async def _prices(self, _request: web.Request) -> web.StreamResponse:
        return reply([price.shown() for price in self._world.prices])

    async def _price(self, request: web.Request) -> web.StreamResponse:
        """Add prices: a list of them, or one; all, or none where one can't be understood."""
        try:
            raw = json.loads(await request.read())
            self._world.prices += [read_price(one) for one in (raw if isinstance(raw, list) else [raw])]
        except PriceError as error:
            return reply({"error": str(error)}, 400)
        except ValueError:
            return reply({"error": "the body is a JSON list of prices"}, 400)
        return await self._prices(request)

    async def _unprice(self, _request: web.Request) -> web.StreamResponse:
        self._world.prices.clear()
        return reply([])

    async def _stats(self, _request: web.Request) -> web.StreamResponse:
        return reply(self._world.stats())

    async def _reset(self, _request: web.Request) -> web.StreamResponse:
        self._world.reset()
        return reply({"reset": True})

    async def _faults(self, _request: web.Request) -> web.StreamResponse:
        return reply([rule.shown() for rule in self._world.rules.rules])

    async def _order(self, request: web.Request) -> web.StreamResponse:
        """Add rules: a list of them, or one."""
        try:
            raw = json.loads(await request.read())
            self._world.rules.add(raw if isinstance(raw, list) else [raw])
        except RuleError as error:
            return reply({"error": str(error)}, 400)
        except ValueError:
            return reply({"error": "the body is a JSON list of rules"}, 400)
        return await self._faults(request)

    async def _clear(self, _request: web.Request) -> web.StreamResponse:
        self._world.rules.clear()
        return reply([])

    async def _film(self, request: web.Request) -> web.StreamResponse:
        wanted = request.query.get("bytes", "")
        if not wanted.isdigit() or int(wanted) > _LONGEST_FILM:
            return reply({"error": f"bytes: a number up to {_LONGEST_FILM}"}, 400)
        total_bytes, pieces = long_film(int(wanted))
        return await stream(request, pieces, "video/mp4", total_bytes)
