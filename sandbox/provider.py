"""What the simulated providers have in common: the way of a submit, a poll, a result, a cancel, a list, a file."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from aiohttp import web

from sandbox import trouble
from sandbox.answers import RefusedError
from sandbox.faults import CATALOG, MEDIA, POLL, SUBMIT
from sandbox.jobs import Draft, Job, Phase
from sandbox.media import deliver, no_such_file
from sandbox.pictures import CONTENT_TYPES, Order
from sandbox.rules import Rule, RuleError
from sandbox.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SubmitAnswer = Callable[[Job], web.Response | Awaitable[web.Response]]
PollAnswer = Callable[[Job | None, Phase], web.Response | Awaitable[web.Response]]
JobAnswer = Callable[[Job | None], web.Response | Awaitable[web.Response]]

#: Where a film of any size is served.
LONG_FILM_PATH = "/_sandbox/video"

_LONG_FILM = re.compile(r"\[video:(\d+)\]")


class Provider(ABC):
    """One provider's API; its handlers check a request and hand it to `submit`, `poll`, `catalog` or `file`."""

    name: ClassVar[str]
    #: Its base path, below the server's address.
    root: ClassVar[str]

    def __init__(self, world: World) -> None:
        self.world = world

    @abstractmethod
    def routes(self) -> Sequence[web.RouteDef]:
        """Everything it serves, its files too."""

    @abstractmethod
    def refusal(self, status: int, message: str) -> web.Response:
        """How it says no."""

    def key(self, request: web.Request) -> str:
        """The key that a request brings, '' for none. For those that take a bearer token."""
        return token(request, "bearer")

    def authorize(self, request: web.Request) -> None:
        """Check who asks; raises `RefusedError`."""
        if not self.world.takes_key(self.key(request)):
            raise RefusedError(self.refusal(401, "invalid credentials"))

    def route(self, method: str, path: str, operation: str, handler: Handler, *, public: bool = False) -> web.RouteDef:
        """A route that counts its requests, checks the key unless it is public, and knows how to be refused."""
        key = (self.name, operation)

        async def handle(request: web.Request) -> web.StreamResponse:
            self.world.requests[key] += 1
            try:
                if not public:
                    self.authorize(request)
                return await handler(request)
            except RefusedError as refused:
                return refused.response

        return web.route(method, path, handle)

    async def submit(
        self, request: web.Request, draft: Draft, job_id: str, answer: SubmitAnswer, *, at_once: bool = False
    ) -> web.StreamResponse:
        """Buy a checked request, unless a fault comes before; then answer, unless a fault comes after."""
        rule = self._spoiler(SUBMIT, draft.text, self._orders(draft))
        early = await trouble.instead(rule, request, self.refusal) if rule else None
        if early is not None:
            return early
        job = self.world.accept(draft, job_id, at_once=at_once, key=self.key(request))
        response = await _now(answer(job))
        return await trouble.afterwards(rule, request, response) if rule else response

    async def poll(self, request: web.Request, job: Job | None, answer: PollAnswer) -> web.StreamResponse:
        """Say how a job stands; None for one that nobody knows."""
        rule = self._watch(job)
        early = await trouble.instead(rule, request, self.refusal) if rule else None
        if early is not None:
            return early
        phase = Phase.MISSING if job is None else job.observe(time.time())
        if rule is not None:
            phase = {"not_found": Phase.MISSING, "unknown_status": Phase.ODD}.get(rule.fault, phase)
        response = await _now(answer(job, phase))
        return await trouble.afterwards(rule, request, response) if rule else response

    async def ask(self, request: web.Request, job: Job | None, operation: str, answer: JobAnswer) -> web.StreamResponse:
        """Answer another request about a job: for its result, or to cancel it."""
        rule = self._spoiler(operation, job.text if job else "", job.orders if job else [])
        early = await trouble.instead(rule, request, self.refusal) if rule else None
        if early is not None:
            return early
        response = await _now(answer(job))
        return await trouble.afterwards(rule, request, response) if rule else response

    async def catalog(self, request: web.Request, response: web.Response) -> web.StreamResponse:
        """Answer with a list."""
        rule = self._spoiler(CATALOG, request.path, [])
        early = await trouble.instead(rule, request, self.refusal) if rule else None
        if early is not None:
            return early
        return await trouble.afterwards(rule, request, response) if rule else response

    async def file(self, request: web.Request, job: Job | None, order: Order) -> web.StreamResponse:
        """Deliver a picture or film of a job that is done."""
        return await self.content(request, job, order, CONTENT_TYPES[order.format])

    async def content(
        self, request: web.Request, job: Job | None, made: Order | bytes, content_type: str
    ) -> web.StreamResponse:
        """Deliver a file of a job that is done: as it is, or drawn to an order."""
        rule = self._spoiler(MEDIA, job.text if job else "", job.orders if job else [])
        early = await trouble.instead(rule, request, self.refusal) if rule else None
        if early is not None:
            return early
        if job is None or not job.has_files(time.time()):
            return no_such_file()
        content = made if isinstance(made, bytes) else await self.world.gallery.file(made)
        return await deliver(request, content, content_type, rule)

    def job(self, job_id: str) -> Job | None:
        return self.world.purchases.get(self.name, job_id)

    def _watch(self, job: Job | None) -> Rule | None:
        """The rule that spoils this poll; rules that change a job's course take hold of it here."""
        if not self.world.rules.rules and not (job and job.orders):
            return None
        if job is None:
            return self._spoiler(POLL, "", [])
        job.fates |= self.world.rules.fates(self.name, POLL, job.text, job.orders)
        return self._spoiler(POLL, job.text, job.orders)

    def _orders(self, draft: Draft) -> list[Rule]:
        try:
            return self.world.rules.orders_of(draft.digest, draft.text)
        except RuleError as error:
            raise RefusedError(self.refusal(400, f"sandbox: {error}")) from error

    def _spoiler(self, operation: str, text: str, orders: list[Rule]) -> Rule | None:
        return self.world.rules.firing(self.name, operation, text, orders)


async def _now(answer: web.Response | Awaitable[web.Response]) -> web.Response:
    return answer if isinstance(answer, web.Response) else await answer


def token(request: web.Request, wanted: str) -> str:
    """What the Authorization header holds in the wanted scheme, or an empty text."""
    scheme, _, held = request.headers.get("Authorization", "").partition(" ")
    return held.strip() if scheme.lower() == wanted else ""


def origin(request: web.Request) -> str:
    """The address the client reached us at, without a path."""
    return f"{request.scheme}://{request.host}"


def long_film_url(request: web.Request, text: str) -> str | None:
    """The address of the film that "[video:BYTES]" in a prompt orders."""
    found = _LONG_FILM.search(text)
    return f"{origin(request)}{LONG_FILM_PATH}?bytes={found[1]}" if found else None


def seconds(value: float) -> float | int:
    """An estimate as providers write it: whole seconds, finer under one."""
    return round(value) if value >= 1 else round(value, 2)
