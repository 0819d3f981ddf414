"""The endpoint that strangers can reach, over real HTTP: what it takes and refuses, and how little a flood can do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
import fakeredis
import pytest
import redis
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from bide.ledger import AccountName, Messages, Polled
from bide.ledger.keys import ACCOUNTS_KEY, prefix
from bide.ledger.poll_now import MOST_POLLS, PollNowOutcome
from bide.settings.sections import ProviderSettings
from bide.webhooks.incoming import Hooks
from tests.contract.ledger_stage import ACCOUNT, Clock, Stage
from workers.hooks import endpoint
from workers.hooks.endpoint import MOST_BODY_BYTES, Endpoint
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
        """Where a provider would call."""
        return HOOKS_OF(*account).address(job_id).removeprefix("https://hooks.example")

    def counts(self) -> dict[str, int]:
        """What was counted and written, without zeros."""
        fields: dict[Any, Any] = self.server.hgetall(metrics_key(ACCOUNT))
        return {value: count for value, count in HOOKS.counts(fields).items() if count}

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[Ask]:
        """The endpoint serves; gives what calls a path of it."""
        server = TestServer(Endpoint(self.handler).application())
        async with server, aiohttp.ClientSession() as session:

            async def ask(
                path: str, *, method: str = "POST", data: object = b'{"status": "success"}'
            ) -> tuple[int, str]:
                async with session.request(method, server.make_url(path), data=data) as answer:
                    return answer.status, await answer.text()

            yield ask


@pytest.fixture
def scene() -> Scene:
    """The state before the first call."""
    return Scene()


def codes_of(scene: Scene, *calls: tuple[str, Mapping[str, object]]) -> list[int]:
    """The codes that some calls are answered with, one after the other."""

    async def run() -> list[int]:
        async with scene.asking() as ask:
            return [(await ask(path, **options))[0] for path, options in calls]

    return asyncio.run(run())


def test_a_call_has_the_round_run_now(scene: Scene) -> None:
    """200, the next poll is due, one round goes out at once, and it is counted."""
    assert codes_of(scene, (scene.path(), {})) == [200]
    [messages] = scene.sent
    assert messages.round is not None
    assert messages.round.account == ACCOUNT
    assert messages.round.countdown_seconds == 0
    assert scene.server.zscore(f"{prefix(ACCOUNT)}due", "job-1") == scene.clock.now
    assert scene.counts() == {"hastened": 1}


@pytest.mark.parametrize("before", ["", "/bide", "/some/other/place"])
def test_what_a_proxy_puts_before_the_path_does_not_matter(scene: Scene, before: str) -> None:
    """Whether it takes the public prefix away or not."""
    assert codes_of(scene, (before + scene.path().removeprefix("/bide"), {})) == [200]
    assert scene.counts() == {"hastened": 1}


def test_a_wrong_proof_is_not_found(scene: Scene) -> None:
    """Nor is another job's, another account's, a short path or none; nothing is moved, sent, or made for strangers."""
    base, _, proof = scene.path().rpartition("/")
    other = HOOKS_OF("photogpt", "other").address("job-1").rpartition("/")[2]
    paths = [
        f"{base}/",
        f"{base}/{proof[:-1]}",
        f"{base}/{proof}x",
        f"{base}/%F0%9F%A6%8A",
        f"{base}/{other}",
        f"{base[:-1]}2/{proof}",
        f"/{proof}",
        "/",
        "/bide/nobody/default/job-1/x",
        "/bide/photogpt/nobody/job-1/x",
        "/healthz",
    ]
    codes = codes_of(scene, *((path, {}) for path in paths[:-1]))

    assert codes == [404] * 10
    assert scene.sent == []
    assert scene.server.zscore(f"{prefix(ACCOUNT)}due", "job-1") == scene.clock.now + 600
    assert scene.server.smembers(ACCOUNTS_KEY) == {str(ACCOUNT)}
    assert scene.counts() == {"refused": 6}


def test_only_posts_are_taken(scene: Scene) -> None:
    """405 for all else; the check of the process asks /healthz."""
    methods = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")
    assert codes_of(scene, *((scene.path(), {"method": method}) for method in methods)) == [405] * 5
    assert codes_of(scene, ("/healthz", {"method": "GET"})) == [200]
    assert scene.sent == []


@pytest.mark.parametrize("body", [b"", b"not JSON", b'{"status": "failed"}', b"\x00" * MOST_BODY_BYTES])
def test_what_a_call_says_does_not_matter(scene: Scene, body: bytes) -> None:
    """The look itself says how the job stands."""
    assert codes_of(scene, (scene.path(), {"data": body})) == [200]
    assert scene.counts() == {"hastened": 1}


def test_a_large_body_is_refused(scene: Scene) -> None:
    """By its length or, where it has none, once it is too long; nothing is moved."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * MOST_BODY_BYTES

    codes = codes_of(scene, (scene.path(), {"data": b"x" * (MOST_BODY_BYTES + 1)}), (scene.path(), {"data": endless()}))
    assert codes == [413, 413]
    assert scene.sent == []


def test_a_slow_body_is_given_up(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """408: nobody holds a place by saying nothing."""
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 0.05)

    async def silent() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    assert codes_of(scene, (scene.path(), {"data": silent()})) == [408]
    assert scene.sent == []


def test_unknown_and_ended_jobs_are_taken_and_forgotten(scene: Scene) -> None:
    """An address of ours whose job has expired, has ended, or was never opened: 200, so that nobody repeats it."""
    scene.stage.finished("done")
    keys = set(scene.server.keys("*"))

    assert codes_of(scene, (scene.path("done"), {}), (scene.path("never"), {})) == [200, 200]
    assert scene.counts() == {"nothing": 2}
    assert set(scene.server.keys("*")) - keys <= {metrics_key(ACCOUNT)}
    assert all(messages == Messages() for messages in scene.sent)


def test_a_flood_brings_about_few_looks(scene: Scene) -> None:
    """A thousand calls at once make one round; in all the time of a job there are as many looks as the bound says."""

    async def flood() -> list[int]:
        async with scene.asking() as ask:
            return [code for code, _ in await asyncio.gather(*(ask(scene.path()) for _ in range(1000)))]

    codes = asyncio.run(flood())
    assert set(codes) <= {200, 503}
    assert codes.count(200) >= 256
    assert len([messages for messages in scene.sent if messages.round]) == 1

    looks = 0
    for _ in range(25):  # its deadline, which has a look of its own, is after 30 minutes
        claim = scene.stage.ledger.polls.claim(ACCOUNT, int(scene.stage.account("seq")), batch=10)
        looks += len(claim.jobs)
        scene.stage.ledger.polls.record(ACCOUNT, [Polled("job-1", "running", 3600)])
        scene.clock.advance(60)
        scene.handler.take(ACCOUNT, "job-1")
    assert looks == MOST_POLLS


def test_a_ledger_that_is_away_has_the_provider_come_back(scene: Scene) -> None:
    """503 with Retry-After, and the call is taken once the ledger is there again."""
    scene.redis.connected = False

    async def run() -> list[tuple[int, str]]:
        async with scene.asking() as ask:
            first = await ask(scene.path())
            scene.redis.connected = True
            return [first, await ask(scene.path())]

    with capture_logs() as logs:
        assert [code for code, _ in asyncio.run(run())] == [503, 200]
    assert [entry["event"] for entry in logs] == ["hook.ledger_away", "hook.taken"]
    assert scene.counts() == {"hastened": 1}


def test_counts_outlast_a_ledger_that_is_away(scene: Scene) -> None:
    """They are kept for the next time, and nobody's call fails for them."""
    real = scene.handler.flush
    failures = [redis.ConnectionError("away")]

    def flush() -> None:
        if failures:
            raise failures.pop()
        real()

    async def run() -> None:
        served = Endpoint(scene.handler)
        scene.handler.take(ACCOUNT, "job-1")
        await served._flush()
        await served._flush()

    scene.handler.flush = flush  # type: ignore[method-assign]  # a ledger that fails once
    with capture_logs() as logs:
        asyncio.run(run())
    assert [entry["event"] for entry in logs] == ["hook.taken", "hook.not_counted"]
    assert scene.counts() == {"hastened": 1}


def test_too_many_at_once_come_back_later(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded, whatever comes."""
    monkeypatch.setattr(endpoint, "MOST_WAITING", 0)
    assert codes_of(scene, (scene.path(), {})) == [503]
    assert scene.sent == []


def test_no_log_line_holds_an_address(scene: Scene) -> None:
    """Who reads logs can't call."""
    proof = scene.path().rpartition("/")[2]
    with capture_logs() as logs:
        codes_of(scene, (scene.path(), {}), (scene.path()[:-1], {}))
    assert logs == [
        {"event": "hook.taken", "log_level": "info", "account": str(ACCOUNT), "job_id": "job-1", "outcome": "hastened"}
    ]
    assert proof not in str(logs)


@pytest.mark.parametrize(
    "sent", [b"\x00\xff no HTTP\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b"POST /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_http_is_answered_and_not_logged(
    scene: Scene, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    """Strangers fill no disk with tracebacks."""
    web_log = logging.getLogger("aiohttp.server")

    async def run() -> bytes:
        server = TestServer(Endpoint(scene.handler).application())
        async with server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(sent)
            answer = await reader.read(12)
            writer.close()
            await writer.wait_closed()
            return answer

    endpoint.keep_to_ourselves()
    try:
        assert asyncio.run(run()) == b"HTTP/1.0 400"
    finally:
        web_log.removeFilter(endpoint._is_ours)
    assert [record for record in caplog.records if record.name == web_log.name] == []


async def raw(scene: Scene, sent: bytes, **changed: float) -> bytes:
    """The answer to some bytes by an endpoint with its limits; returns when that closes the connection."""
    server = TestServer(Endpoint(scene.handler).application())
    await server.start_server(**endpoint.LIMITS | changed)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(sent)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return answer
    finally:
        await server.close()


BROKEN_BODIES = {
    "gzip": b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
    "deflate": b"Content-Encoding: deflate\r\nContent-Length: 4\r\n\r\nabcd",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabcd\r\n",
    "cut off": b"Content-Length: 400\r\n\r\nabcd",
}


@pytest.mark.parametrize("body", BROKEN_BODIES.values(), ids=BROKEN_BODIES)
@pytest.mark.parametrize("known", [True, False])
def test_a_broken_body_is_not_logged(
    scene: Scene, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, body: bytes, known: bool
) -> None:
    """Neither where the address is ours nor where it is not."""
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 0.05)
    path = scene.path().encode() if known else b"/x"
    endpoint.keep_to_ourselves()
    try:
        answer = asyncio.run(
            raw(scene, b"POST " + path + b" HTTP/1.1\r\nHost: h\r\n" + body, keepalive_timeout=0.1, lingering_time=0.1)
        )
    finally:
        logging.getLogger("aiohttp.server").removeFilter(endpoint._is_ours)
    assert answer.startswith(b"HTTP/1.")
    assert [record for record in caplog.records if record.name == "aiohttp.server"] == []


@pytest.mark.parametrize("sent", [b"", b"POST /x HTTP/1.1\r\nHost: h\r\nX-Half"])
def test_who_says_nothing_is_hung_up_on(scene: Scene, sent: bytes) -> None:
    """Connections that send nothing, or half a request, hold nothing for an hour."""
    assert endpoint.LIMITS["keepalive_timeout"] < 60
    assert asyncio.run(raw(scene, sent, keepalive_timeout=0.1)) == b""


@pytest.mark.parametrize(
    "headers", [b"X: " + b"x" * 2100 + b"\r\n", b"".join(b"X%d: 1\r\n" % number for number in range(65))]
)
def test_headers_are_few_and_small(scene: Scene, headers: bytes) -> None:
    """A provider's are; what proxies add fits as well."""
    sent = b"POST /x HTTP/1.1\r\nHost: h\r\n" + headers + b"\r\n"
    assert asyncio.run(raw(scene, sent, keepalive_timeout=0.1)).startswith(b"HTTP/1.0 400")


def test_every_outcome_is_counted_by_itself() -> None:
    """No outcome of the move ends among the others."""
    assert set(HOOKS.values) == {*(outcome.value for outcome in PollNowOutcome), "refused"}
