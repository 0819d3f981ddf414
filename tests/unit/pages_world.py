"""The pages over a ledger and a store in memory, asked over real HTTP as a browser would."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from html import unescape
from typing import Any, cast

import aiohttp
import fakeredis
import redis
from aiohttp.test_utils import TestServer

from bide.bulk.runs import Runs
from bide.contract import JobState, Output
from bide.ledger import Verb
from bide.settings.ledgers import Ledgers
from bide.storage import StorageOptions
from tests.contract.ledger_stage import ACCOUNT, Clock, Stage, taken
from tests.unit.memory_store import memory_storage
from workers.pages.access import Guard, Users
from workers.pages.application import Application
from workers.pages.reads import Reads
from workers.pages.site import Site, environment
from workers.pages.thumbnails import Thumbnails

ANNA, BERT = "anna:hush-anna", "bert:hush-bert"


@dataclass(frozen=True)
class Answered:
    """What came back."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def words(self) -> str:
        """What a person reads, in one line."""
        body = self.text.partition("<main")[2] or self.text
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())

    @property
    def hrefs(self) -> list[str]:
        """The addresses that it links to."""
        return [unescape(found) for found in re.findall(r'href="([^"]*)"', self.text)]

    @property
    def token(self) -> str:
        """The token of its form."""
        [token] = re.findall(r'name="token" value="(\w+)"', self.text)
        return str(token)

    @property
    def jobs(self) -> list[str]:
        """The jobs that it lists."""
        return re.findall(r'<p class="small id">([^<]+)</p>', self.text.partition('class="jobs"')[2])


Ask = Callable[..., Awaitable[Answered]]


class World:
    """A deployment: `stage` takes jobs anywhere, `ask` and `post` speak as a browser whose user is logged in."""

    def __init__(self, *credentials: str, url: str | None = None, ledgers: Ledgers | None = None) -> None:
        self.redis = fakeredis.FakeServer(version=(7,))
        self.server: redis.Redis = fakeredis.FakeRedis(server=self.redis, decode_responses=True)
        self.clock = Clock()
        self.stage = Stage(self.server, self.clock)
        self.runs, self.storage = Runs(self.server), memory_storage()
        self.site = Site(
            ledger=self.stage.ledger,
            runs=self.runs,
            storage=self.storage,
            guard=Guard(Users(credentials), url=url),
            reads=Reads(),
            thumbnails=cast("Thumbnails", NoThumbnails()),
            prices={(ACCOUNT.provider, "images.generation"): 0.02},
            templates=environment(),
            ledgers=ledgers,
        )

    def finished(self, job_id: str, *keys: str, content_type: str = "image/png", **changes: Any) -> None:
        """A new job that ended well, with one object for each key."""
        record, token = self.stage.storing(job_id, **changes)
        outputs = [output_of(key, content_type=content_type) for key in keys]
        result = json.dumps({"outputs": [each.model_dump(mode="json") for each in outputs]})
        assert self.stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result=result)
        self.stage.ledger.jobs.answered(ACCOUNT, job_id)

    def failed(self, job_id: str, error: str, **changes: Any) -> None:
        """A new job that ended badly."""
        token = self.stage.token()
        record = taken(self.stage.arrive(job_id, token=token, **changes), Verb.SUBMIT)
        assert self.stage.ledger.jobs.conclude(record, token, JobState.FAILED, error=error)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[tuple[Ask, TestServer]]:
        """The pages serve; gives what asks for a path."""
        server = TestServer(Application(replace(self.site, reads=Reads())).build())
        async with server, aiohttp.ClientSession() as session:

            async def ask(
                path: str,
                *,
                user: str = ANNA,
                form: Mapping[str, str] | None = None,
                headers: Mapping[str, str] | None = None,
            ) -> Answered:
                given = {**({"Authorization": basic(user)} if user else {}), **(headers or {})}
                if form is not None and "Origin" not in given:
                    given["Origin"] = f"http://{server.host}:{server.port}"
                given = {name: value for name, value in given.items() if value}
                url, method = f"http://{server.host}:{server.port}{path}", "GET" if form is None else "POST"
                async with session.request(method, url, headers=given, data=form, allow_redirects=False) as answer:
                    return Answered(answer.status, await answer.text(errors="replace"), answer.headers)

            yield ask, server

    def ask(self, *paths: str, **options: Any) -> Answered:
        """What the last of these paths is answered with, asked one after the other."""

        async def run() -> Answered:
            async with self.serving() as (ask, _):
                answers = [await ask(path, **options) for path in paths]
                return answers[-1]

        return asyncio.run(run())

    def press(self, path: str, **form: str) -> Answered:
        """Open the page of a button, and press it."""

        async def run() -> Answered:
            async with self.serving() as (ask, _):
                token = (await ask(path)).token
                return await ask(path.partition("?")[0], form={"token": token, **form})

        return asyncio.run(run())


class NoThumbnails:
    """Makes none."""

    async def of(self, _: Output) -> bytes | None:
        return None

    def close(self) -> None:
        """Nothing to end."""


def output_of(key: str, *, content_type: str = "image/png") -> Output:
    """An object of the store."""
    return Output(
        uri=f"s3://memory/{key}",
        bucket="memory",
        key=key,
        content_type=content_type,
        size=12_345,
        sha256="0" * 64,
        width=640,
        height=480,
    )


def basic(credentials: str) -> str:
    """The header that a browser sends after a login."""
    return f"Basic {base64.b64encode(credentials.encode()).decode()}"


#: For what needs options of a store and no store.
OPTIONS = StorageOptions("memory")
