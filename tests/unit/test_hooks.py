"""The endpoint that providers call, over real HTTP: what it takes and refuses, and how little a flood can do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis
from structlog.testing import capture_logs

from bide.ledger import Messages, Polled
from bide.ledger.keys import ACCOUNTS_KEY, prefix
from bide.ledger.poll_now import MOST_POLLS, PollNowOutcome
from tests.contract.ledger_stage import ACCOUNT
from tests.unit.hooks_scene import HOOKS_OF, Scene, codes_of
from workers.hooks import endpoint
from workers.hooks.endpoint import MOST_BODY_BYTES, Endpoint
from workers.metrics.counted import HOOKS
from workers.metrics.tally import metrics_key


def test_a_call_has_the_job_polled_now(scene: Scene) -> None:
    """A call is answered with 200 and counted; the job is due, and one round goes out at once."""
    assert codes_of(scene, (scene.path(), {})) == [200]
    [messages] = scene.sent
    assert messages.round is not None
    assert messages.round.account == ACCOUNT
    assert messages.round.countdown_seconds == 0
    assert scene.server.zscore(f"{prefix(ACCOUNT)}due", "job-1") == scene.clock.now
    assert scene.counts() == {"hastened": 1}


@pytest.mark.parametrize("before", ["", "/bide", "/some/other/place"])
def test_what_a_proxy_puts_before_the_path_does_not_matter(scene: Scene, before: str) -> None:
    """A proxy may take the public prefix away, or leave it."""
    assert codes_of(scene, (before + scene.path().removeprefix("/bide"), {})) == [200]
    assert scene.counts() == {"hastened": 1}


def test_a_wrong_proof_is_not_found(scene: Scene) -> None:
    """A proof of another job or account, a short path or none: 404; nothing is changed, sent or created."""
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
    """Other methods get 405; /healthz takes GET."""
    methods = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")
    assert codes_of(scene, *((scene.path(), {"method": method}) for method in methods)) == [405] * 5
    assert codes_of(scene, ("/healthz", {"method": "GET"})) == [200]
    assert scene.sent == []


@pytest.mark.parametrize("body", [b"", b"not JSON", b'{"status": "failed"}', b"\x00" * MOST_BODY_BYTES])
def test_what_a_call_says_does_not_matter(scene: Scene, body: bytes) -> None:
    """The poll itself says how the job stands, not the call's body."""
    assert codes_of(scene, (scene.path(), {"data": body})) == [200]
    assert scene.counts() == {"hastened": 1}


def test_a_large_body_is_refused(scene: Scene) -> None:
    """A body that is too long by its header, or grows too long, is refused; no clock changes."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * MOST_BODY_BYTES

    codes = codes_of(scene, (scene.path(), {"data": b"x" * (MOST_BODY_BYTES + 1)}), (scene.path(), {"data": endless()}))
    assert codes == [413, 413]
    assert scene.sent == []


def test_a_slow_body_is_given_up(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not come is answered with 408, so that no silent call keeps its place."""
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 0.05)

    async def silent() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    assert codes_of(scene, (scene.path(), {"data": silent()})) == [408]
    assert scene.sent == []


def test_unknown_and_ended_jobs_are_taken_and_forgotten(scene: Scene) -> None:
    """A call about an ended, expired or unknown job is answered with 200, so that providers do not repeat it."""
    scene.stage.finished("done")
    keys = set(scene.server.keys("*"))

    assert codes_of(scene, (scene.path("done"), {}), (scene.path("never"), {})) == [200, 200]
    assert scene.counts() == {"nothing": 2}
    assert set(scene.server.keys("*")) - keys <= {metrics_key(ACCOUNT)}
    assert all(messages == Messages() for messages in scene.sent)


def test_a_flood_brings_about_few_polls(scene: Scene) -> None:
    """A thousand calls at once make one round; in a job's whole time calls bring `MOST_POLLS` polls."""

    async def flood() -> list[int]:
        async with scene.asking() as ask:
            return [code for code, _ in await asyncio.gather(*(ask(scene.path()) for _ in range(1000)))]

    codes = asyncio.run(flood())
    assert set(codes) <= {200, 503}
    assert codes.count(200) >= 256
    assert len([messages for messages in scene.sent if messages.round]) == 1

    polls = 0
    for _ in range(25):  # its deadline, which has a poll of its own, is after 30 minutes
        claim = scene.stage.ledger.polls.claim(ACCOUNT, int(scene.stage.account("seq")), batch=10)
        polls += len(claim.jobs)
        scene.stage.ledger.polls.record(ACCOUNT, [Polled("job-1", "running", 3600)])
        scene.clock.advance(60)
        scene.handler.take(ACCOUNT, "job-1")
    assert polls == MOST_POLLS


def test_a_call_while_the_ledger_is_away_is_to_be_repeated(scene: Scene) -> None:
    """A call without a ledger is answered with 503 and Retry-After; the repeated call is taken."""
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
    """Counts wait for the ledger, and no call fails for them."""
    unbroken = scene.handler.flush
    failures = [redis.ConnectionError("away")]

    def flush() -> None:
        if failures:
            raise failures.pop()
        unbroken()

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
    """The queue of calls is bounded: one more is answered with 503."""
    monkeypatch.setattr(endpoint, "MOST_WAITING", 0)
    assert codes_of(scene, (scene.path(), {})) == [503]
    assert scene.sent == []


def test_no_log_line_holds_an_address(scene: Scene) -> None:
    """A log line has no proof, so that readers of logs can't call."""
    proof = scene.path().rpartition("/")[2]
    with capture_logs() as logs:
        codes_of(scene, (scene.path(), {}), (scene.path()[:-1], {}))
    assert logs == [
        {"event": "hook.taken", "log_level": "info", "account": str(ACCOUNT), "job_id": "job-1", "outcome": "hastened"}
    ]
    assert proof not in str(logs)


def test_every_outcome_is_counted_by_itself() -> None:
    """Each outcome of `poll_now` has a count of its own."""
    assert set(HOOKS.values) == {*(outcome.value for outcome in PollNowOutcome), "refused"}
