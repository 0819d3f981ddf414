"""The endpoint that providers call, over a ledger in memory and real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
import fakeredis
import redis
from aiohttp.test_utils import TestServer

from bide.ledger import AccountName, Messages
from bide.settings.sections import ProviderSettings
from bide.webhooks.incoming import Hooks
from tests.contract.ledger_stage import ACCOUNT, Clock, Stage
from workers.hooks.endpoint import Endpoint
from workers.hooks.handler import Handler
from workers.metrics.counted import HOOKS
from workers.metrics.tally import Tally, metrics_key

HOOKS_OF = partial(Hooks, "https://hooks.example/bide", "a secret of the test")

Ask = Callable[..., Awaitable[tuple[int, str]]]


class Scene:
    """An endpoint over a ledger in memory with a job at the provider; `sent` are the messages that went out."""

    def __init__(self) -> None:
        self.redis = fakeredis.FakeServer(version=(7,))
        self.server: redis.Redis = fakeredis.FakeRedis(server=self.redis, decode_responses=True)
        self.clock = Clock()
        self.stage = Stage(self.server, self.clock)
        self.stage.running("job-1", first_poll_seconds=600)
        self.sent: list[Messages] = []
        self.handler = Handler(
            self.stage.ledger,
            hooks_of=lambda name: HOOKS_OF(*name),
            send=self.sent.append,
            providers={ACCOUNT.provider: ProviderSettings()},
            tally=Tally(),
        )

    def path(self, job_id: str = "job-1", account: AccountName = ACCOUNT) -> str:
        """The address that a provider calls for a job, as a path."""
        return HOOKS_OF(*account).address(job_id).removeprefix("https://hooks.example")

    def counts(self) -> dict[str, int]:
        """What was counted and written, without zeros."""
        fields: dict[Any, Any] = self.server.hgetall(metrics_key(ACCOUNT))
        return {value: count for value, count in HOOKS.counts(fields).items() if count}

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[Ask]:
        """Serve the endpoint; gives a function that calls one path of it."""
        server = TestServer(Endpoint(self.handler).application())
        async with server, aiohttp.ClientSession() as session:

            async def ask(
                path: str, *, method: str = "POST", data: object = b'{"status": "success"}'
            ) -> tuple[int, str]:
                async with session.request(method, server.make_url(path), data=data) as answer:
                    return answer.status, await answer.text()

            yield ask


def codes_of(scene: Scene, *calls: tuple[str, Mapping[str, object]]) -> list[int]:
    """The codes that some calls are answered with, one after the other."""

    async def run() -> list[int]:
        async with scene.asking() as ask:
            return [(await ask(path, **options))[0] for path, options in calls]

    return asyncio.run(run())
