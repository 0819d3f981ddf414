"""Receipts and results that can't be read: each is named, and all others are taken up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import workers.recover
from bide.cli.recover import Recovered
from bide.contract import Failure, FailureCode, JobResult
from bide.errors import StorageError
from bide.purchases import ACCOUNT as ACCOUNT_METADATA
from bide.purchases import IDEMPOTENCY
from bide.receipts import Ended, NotAccepted
from tests.unit.atelier import ACCOUNT, BASE, STATUS
from tests.unit.receipts_world import WHERE, World, opened, store_result
from workers.recover import Recoverer

JUNK: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1.5, 1e300, float("nan"), float("inf"), -float("inf"), 10**30),
    *(
        "",
        " ",
        "x",
        "nan",
        "inf",
        "1e300",
        "-5",
        "99999999999999",
        "0x10",
        "1_0",
        "{",
        "[]",
        "{}",
        "null",
        "a b",
        "\x00",
    ),
    *("p/a/b", "a/b}:job", "ask", "1 2 3 n 0 l ;", "1 99999999999999999999 4 n 0 l ", "x" * 2000),
    *([], {}, ["x"], {"x": 1}),
)


@pytest.fixture
def world() -> Iterator[World]:
    """A deployment in memory."""
    with opened() as world:
        yield world


def recovered(world: World, **how: Any) -> tuple[dict[str, Recovered], list[str]]:
    """What became of each job, and what could not be read."""
    tools: Any = world
    recoverer = Recoverer(tools, since=datetime.fromtimestamp(world.clock.now, UTC) - timedelta(days=1))
    found = {each.job_id: each for each in recoverer.run(**how)}
    return found, [f"{each}: {each.why}" for each in recoverer.unreadable]


def put(world: World, items: list[Any], *, version: Any = 1) -> str:
    """An object of receipts, as this or another release may have written it."""
    key = f"{WHERE}{datetime.now(UTC):%Y/%m/%d}/000000-x.json"
    world.bucket.client.objects[key] = json.dumps({"version": version, "receipts": items}).encode()
    return key


@cache
def good() -> str:
    """Receipts of a job, of each kind."""
    with opened() as world:
        world.submit("m", idempotency_key="k")
        world.receipts.stop()
        intent, accepted = world.bucket.receipts
        failure = Failure(code=FailureCode.LOST, message="no", job_id="m").model_dump_json()
        ended = Ended(job_id="m", account=str(ACCOUNT), at=accepted.at + 1, state="failed", error=failure)
        refused = NotAccepted(**intent.model_dump(include={"ledger", "job_id", "account", "attempt", "at"}))
        return json.dumps([each.model_dump(mode="json") for each in (intent, accepted, ended, refused)])


def renamed(items: str, job_id: str) -> list[dict[str, Any]]:
    """These receipts of another job, and purchase."""
    return list(json.loads(items.replace('"job_id": "m"', f'"job_id": "{job_id}"').replace('"7"', f'"p-{job_id}"')))


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """All places in a document."""
    if at:
        yield at
    for name in value if isinstance(value, dict) else ():
        yield from paths(value[name], (*at, name))


@given(data=st.data())
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_junk_in_any_place(data: st.DataObject) -> None:
    """The job is taken up, or is named; one beside it in the same object is taken up."""
    bad, fine = renamed(good(), "bad"), renamed(good(), "fine")[:2]
    bad = bad[: data.draw(st.sampled_from((1, 2, 3, 4)))]
    item = data.draw(st.integers(0, len(bad) - 1))
    path = data.draw(st.sampled_from(list(paths(bad[item]))))
    place: Any = bad[item]
    for name in path[:-1]:
        place = place[name]
    if data.draw(st.booleans()):
        place[path[-1]] = data.draw(st.sampled_from(JUNK))
    else:
        del place[path[-1]]
    with opened() as world:
        put(world, [*bad, *fine])
        found, unreadable = recovered(world)
        assert (found["fine"].what, found["fine"].state) == ("taken", "running")
        named = {job_id for job_id in found if job_id != "fine"} or unreadable
        assert named or bad[item]["kind"] == "not_accepted"
        again, _ = recovered(world)
        assert again["fine"].what == "known"
        assert {each.what for each in again.values()} <= {"known", "unreadable", "not_bought", "conflict", "held"}


@pytest.mark.parametrize(
    "tried",
    [
        "7",
        "[7]",
        '["x"]',
        '[{"provider_job_id": {}}]',
        '[{"provider": "p", "account": "a", "at": "x"}]',
        "{}",
        '{"a": 1}',
    ],
)
def test_accounts_left_that_are_none(world: World, tried: str) -> None:
    """The job is named, and no other waits for it."""
    bad, fine = renamed(good(), "bad")[:2], renamed(good(), "fine")[:2]
    bad[0]["record"]["tried"] = tried
    put(world, [*bad, *fine])
    found, unreadable = recovered(world)
    assert found["fine"].what == "taken"
    assert found["bad"].what in ("taken", "unreadable")
    assert len(unreadable) == 1


def test_a_kind_of_a_later_release(world: World) -> None:
    """The 999 others of its object are taken up; a job that is known by it alone is named."""
    later = {"kind": "refunded", "job_id": "q", "account": str(ACCOUNT), "at": 1.0}
    put(world, [later, *renamed(good(), "fine")[:2], {**later, "job_id": "fine"}])
    found, unreadable = recovered(world)
    assert (found["fine"].what, found["fine"].state) == ("taken", "running")
    assert found["q"].what == "unreadable"
    assert len(unreadable) == 2
    assert all("'refunded'" in each for each in unreadable)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b'{"version": 1}', b"[" * 100_000, b"\xff\xfe"], ids=len)
def test_an_object_that_is_none(world: World, content: bytes) -> None:
    """It is named, and the others are read."""
    world.submit()
    world.lose()
    key = put(world, [])
    world.bucket.client.objects[key] = content
    found, unreadable = recovered(world)
    assert found["a"].what == "taken"
    assert len(unreadable) == 1
    assert key in unreadable[0]


def test_an_object_of_another_version(world: World) -> None:
    """Its jobs are named: they may have been bought."""
    put(world, renamed(good(), "q"), version=2)
    found, unreadable = recovered(world)
    assert found["q"].what == "unreadable"
    assert "another release" in unreadable[0]


@pytest.mark.parametrize(
    "change",
    [
        {"finished_at": "0001-01-01T00:00:00Z"},
        {"job_id": "z"},
        {"provider": "No {such}"},
        {"provider_job_id": "a\nb"},
    ],
)
def test_a_result_that_is_none(world: World, change: dict[str, Any]) -> None:
    """One with a receipt is polled again, one without is named; neither ends the command."""
    world.submit("a")
    for name, receipts in (("a", True), ("b", False)):
        record = store_result(world, job_id=name, receipts=receipts)
        key = next(key for key in world.bucket.client.objects if f"/{record.job_id}/" in key)
        document = {**json.loads(world.bucket.client.objects[key]), **change}
        world.bucket.client.objects[key] = json.dumps(document).encode()
    world.lose()
    found, unreadable = recovered(world)
    assert (found["a"].what, found["a"].state) in (("taken", "running"), ("taken", "succeeded"))
    assert any("/b/job.json" in each for each in unreadable) or found["b"].what == "unreadable"


@pytest.mark.parametrize(
    ("metadata", "what"),
    [({ACCOUNT_METADATA: "no {such} name"}, "unreadable"), ({IDEMPOTENCY: "bide:runs"}, "taken")],
)
def test_metadata_that_is_none(world: World, metadata: dict[str, str], what: str) -> None:
    """An account that is no name, and a key that is none of an idempotency key."""
    store_result(world, job_id="b", receipts=False)
    for each in world.bucket.client.metadata.values():
        each.update(metadata)
    world.lose()
    world.server.zadd("bide:runs", {"r": 1})
    found, _ = recovered(world)
    assert found["b"].what == what


class Gone:
    """A store that lists an object and then has it no more, or refuses it."""

    def __init__(self, world: World, part: str, error: StorageError) -> None:
        get, exists = world.bucket.get, world.bucket.exists

        def refusing(uri: str, **how: Any) -> bytes:
            if part in uri:
                raise error
            return get(uri, **how)

        def refusing_exists(key: str) -> bool:
            if part in key:
                raise error
            return exists(key)

        world.bucket.get = refusing  # type: ignore[method-assign]  # one object alone
        world.bucket.exists = refusing_exists  # type: ignore[method-assign]  # as above


def test_an_object_that_the_store_refuses(world: World) -> None:
    """It was removed since it was listed, or its reader may not: it is named. A store that is away ends the command."""
    for name in "ab":
        world.reply("POST", f"{BASE}/works", {"id": f"p-{name}"})
        world.replies["POST", f"{BASE}/works"] = world.replies["POST", f"{BASE}/works"][-1:]
        world.submit(name)
    world.lose()
    put(world, [])
    Gone(world, "000000-x", StorageError("AccessDenied", permanent=True))
    Gone(world, "/a/job.json", StorageError("AccessDenied", permanent=True))
    found, unreadable = recovered(world)
    assert {name: each.state for name, each in found.items()} == {"a": "running", "b": "running"}
    assert len(unreadable) == 2
    Gone(world, "000000-x", StorageError("503"))
    with pytest.raises(StorageError):
        recovered(world)


@pytest.mark.parametrize("meanwhile", ["running", "failed"])
@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("how", ["broken", "refused"])
def test_a_result_that_is_read_later(world: World, monkeypatch: Any, how: str, ended: bool, meanwhile: str) -> None:
    """The job is polled again, whatever its caller knew. Once the object can be read, the job has succeeded by that."""
    world.submit("a")
    record = store_result(world, job_id="a")
    if ended:
        world.receipts.succeeded(ACCOUNT, "a", created=record.text("created"))
    key = next(key for key in world.bucket.client.objects if "/a/job.json" in key)
    content = world.bucket.client.objects[key]
    world.lose()
    if how == "broken":
        world.bucket.client.objects[key] = b"{broken"
    else:
        for name in ("get", "exists"):
            monkeypatch.setattr(world.bucket, name, getattr(world.bucket, name))
        Gone(world, "/a/job.json", StorageError("AccessDenied", permanent=True))
    for what in ("taken", "known"):
        found, unreadable = recovered(world)
        assert (found["a"].what, found["a"].state) == (what, "running")
        assert len(unreadable) == 1
    if meanwhile == "failed":
        world.reply("GET", STATUS, {"id": "7", "state": "failed", "why": "it is gone"})
        world.poll()
        assert world.state() == "failed"

    monkeypatch.undo()
    world.bucket.client.objects[key] = content
    for what in ("taken", "known"):
        found, unreadable = recovered(world)
        assert (found["a"].what, found["a"].state, unreadable) == (what, "succeeded", [])
    assert JobResult.model_validate_json(world.record().text("result")).warnings == ()
    assert world.purchases() == 1


def test_the_command_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It prints what it found, names the job, and does not end well."""
    put(world, [{"kind": "refunded", "job_id": "q", "account": str(ACCOUNT), "at": 1.0}, *renamed(good(), "fine")[:2]])

    class Box:
        def __enter__(self) -> World:
            return world

        def __exit__(self, *_: object) -> None:
            """Nothing to close."""

    monkeypatch.setattr(workers.recover, "command_toolbox", lambda _: Box())
    monkeypatch.setattr(workers.recover, "settings", lambda: world.settings)
    done = CliRunner().invoke(workers.recover.main, [])
    assert done.exit_code == 1
    assert "1 by receipt: taken up, running" in done.output
    assert "q (atelier/default): a receipt of the kind 'refunded'" in done.output
    assert "can't be read, and may have been bought" in done.output
    world.bucket.client.objects = {}
    assert CliRunner().invoke(workers.recover.main, []).exit_code == 0
