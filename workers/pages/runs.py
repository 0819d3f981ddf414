"""Bulk runs with their progress, and their contact sheets with links that lead to the originals."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from aiohttp import web

from bide.bulk.names import RUN_ID
from bide.bulk.record import ENDS
from bide.errors import StorageError
from workers.pages.objects import Sheet, Signed
from workers.pages.site import Site, onward

#: The most runs that the list shows.
MOST_RUNS = 200


class RunPages:
    """The pages about runs, and what lies in the bucket."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[web.RouteDef]:
        """The addresses."""
        return [
            web.get("/runs", self.index),
            web.get("/runs/{run_id}", self.run),
            web.get("/objects/{key:.+}", self.object),
        ]

    async def index(self, request: web.Request) -> web.Response:
        """All runs that are remembered, the latest first."""
        progress = await self._site.reads.shared("runs", self._progress)
        return await self._site.page(request, "runs.html", live="runs", runs=progress, ends=ENDS)

    async def run(self, request: web.Request) -> web.Response:
        """How far one run is."""
        run_id = request.match_info["run_id"]
        if not RUN_ID.fullmatch(run_id):
            raise web.HTTPNotFound(text="there is no such run")
        progress, has_sheet = await self._site.reads.own(self._one, run_id)
        if progress is None and not has_sheet:
            raise web.HTTPNotFound(text=f"nothing is known of a run {run_id}: never begun here, or forgotten since")
        live = "runs" if progress and progress["state"] not in ("finished", "canceled") else ""
        return await self._site.page(
            request, "run.html", live=live, run_id=run_id, run=progress, has_sheet=has_sheet, ends=ENDS
        )

    async def object(self, request: web.Request) -> web.Response:
        """A page of a contact sheet, or on to the signed address of another object."""
        key = request.match_info["key"]
        found = await self._site.reads.own(self._site.objects.find, key)
        match found:
            case Signed(url):
                return onward(url)
            case Sheet():
                content = await self._site.reads.own(self._sheet, key)
                headers = {"Content-Security-Policy": sheet_policy(), "Cache-Control": "private, max-age=60"}
                return web.Response(body=content, content_type="text/html", charset="utf-8", headers=headers)
        raise web.HTTPNotFound(text="no job or run of this deployment has written such an object")

    def _progress(self) -> list[dict[str, Any]]:
        return [run.progress() for run in self._site.runs.all()[: -MOST_RUNS - 1 : -1]]

    def _one(self, run_id: str) -> tuple[dict[str, Any] | None, bool]:
        run = self._site.runs.read(run_id)
        return (run.progress() if run else None), (run is None or run.over) and self._site.objects.has_sheet(run_id)

    def _sheet(self, key: str) -> bytes:
        try:
            return self._site.objects.sheet(key)
        except StorageError as error:
            if not error.permanent:
                raise
            raise web.HTTPNotFound(text="the contact sheet is not there: a run that goes on has none yet") from None


@cache
def sheet_policy() -> str:
    """What a contact sheet may do: run its own script, and nothing in our name: others may write to the bucket."""
    script = (files("bide.bulk.sheet") / "sheet.js").read_bytes()
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode("ascii")
    return (
        "sandbox allow-scripts allow-downloads; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
