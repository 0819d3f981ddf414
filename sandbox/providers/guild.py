"""An imaginary guild with each kind of promise about submits that come twice; its adapters stand in the tests.

An operation has the name of its promise: `none`, `replay`, `reject`, `client_id`, and `free`, which costs nothing.
Faults have it lie about them.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from sandbox.answers import RefusedError, json_object, reply, unprocessable
from sandbox.faults import CATALOG, MEDIA, ODD_WORD, POLL, SUBMIT
from sandbox.jobs import Draft, Job, Phase
from sandbox.provider import Provider, origin

ROOT = "/guild/v1"

#: Works on one page of the list.
_PAGE = 100

_STATES = {Phase.DONE: "done", Phase.EMPTY: "done", Phase.FAILED: "failed", Phase.ODD: ODD_WORD}


class Guild(Provider):
    """POST /{operation} with the header `Key`; GET /works[/{id}], /queue/{key}, /history/{key}."""

    name = "guild"
    root = ROOT

    def routes(self) -> Sequence[web.RouteDef]:
        return (
            self.route("POST", ROOT + "/{operation:none|replay|reject|client_id|free}", SUBMIT, self._submit),
            self.route("GET", f"{ROOT}/works", CATALOG, self._list),
            self.route("GET", ROOT + "/works/{id}", POLL, self._work),
            self.route("GET", ROOT + "/queue/{key}", CATALOG, self._queue),
            self.route("GET", ROOT + "/history/{key}", CATALOG, self._history),
            self.route("GET", ROOT + "/pictures/{id}.png", MEDIA, self._picture, public=True),
        )

    def refusal(self, status: int, message: str) -> web.Response:
        return reply({"message": message}, status)

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        """A key that is known buys nothing, or is refused, as the operation promises; unless that is a lie."""
        operation, params = request.match_info["operation"], await json_object(request)
        motif = params.get("motif") if params else None
        if not isinstance(motif, str) or not motif.strip():
            raise RefusedError(unprocessable(("motif", "Field required")))
        key = request.headers.get("Key", "")
        before = self._under(key)
        if operation == "reject" and before and "hides_work" not in before[0].fates:
            raise RefusedError(self.refusal(409, "this key was used"))
        if operation == "replay" and before and "forgets_key" not in before[0].fates:
            return await self.ask(request, before[0], SUBMIT, lambda _: _accepted(before[0], operation, replayed=True))
        name = motif.split()[0]
        # What a motif orders happens to the first work under its key, or without one to the first of that motif.
        again = before or any(job.details["motif"] == motif for job in self.world.purchases.of(self.name) if not key)
        draft = Draft(self.name, operation, {"motif": name if again else motif}, name, {"key": key, "motif": motif})
        return await self.submit(request, draft, str(uuid.uuid4()), lambda job: _accepted(job, operation))

    def _under(self, key: str) -> list[Job]:
        """The works under a key, the oldest first."""
        return [job for job in self.world.purchases.of(self.name) if key and job.details.get("key") == key]

    async def _work(self, request: web.Request) -> web.StreamResponse:
        def answer(job: Job | None, phase: Phase) -> web.Response:
            if job is None or phase is Phase.MISSING:
                return self.refusal(404, "no such work")
            made = [f"{origin(request)}{ROOT}/pictures/{job.id}.png"] if phase is Phase.DONE else []
            failed = {"why": job.failure, "charged": "failed" in job.price.get("charged", ())}
            return reply({"state": _STATES.get(phase, "working"), "pictures": made, **(failed if job.failure else {})})

        return await self.poll(request, self.job(request.match_info["id"]), answer)

    async def _queue(self, request: web.Request) -> web.StreamResponse:
        """Works go into the history at once."""
        return await self.catalog(request, reply({"ids": []}))

    async def _history(self, request: web.Request) -> web.StreamResponse:
        """The works under a key; one that is hidden shows once there is another."""
        works = self._under(request.match_info["key"])
        if len(works) == 1 and "hides_work" in works[0].fates:
            works = []
        return await self.catalog(request, reply({"ids": [work.id for work in works]}))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        """The latest first."""
        page = request.query.get("page", "")
        first = int(page) * _PAGE if page.isdigit() else 0
        works = list(self.world.purchases.of(self.name))[::-1]
        following = str(first // _PAGE + 1) if len(works) > first + _PAGE else ""
        shown = [_listed(work) for work in works[first : first + _PAGE]]
        return await self.catalog(request, reply({"works": shown, "next": following}))

    async def _picture(self, request: web.Request) -> web.StreamResponse:
        job = self.job(request.match_info["id"])
        return await self.file(request, job, self.world.order(job.digest if job else "", "png", 64, 64))


def _accepted(job: Job, operation: str, *, replayed: bool = False) -> web.Response:
    """Its id; a replay says whether the key was known."""
    answer = reply({"id": job.id})
    if operation == "replay":
        answer.headers["Idempotent-Replayed"] = str(replayed).lower()
    return answer


def _listed(job: Job) -> dict[str, Any]:
    ended = job.glance(time.time()) is Phase.DONE
    return {
        "id": job.id,
        "operation": job.operation,
        "motif": job.details["motif"],
        "at": job.created,
        "state": "done" if ended else "working",
    }
