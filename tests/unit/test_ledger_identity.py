"""A ledger that is not the one that it was: nothing is bought on it until an operator confirms it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bide.contract import JobState
from bide.errors import StorageError
from bide.ledger import Ledger, Verb
from bide.ledger.identity import KnownLedger, LedgerState, Objects, give_id, read_state
from bide.ledger.safety import LEDGER_KEY, Safety
from bide.ledger.submits import OTHER_LEDGER
from bide.providers import installed
from tests.contract.ledger_stage import Stage, taken
from tests.unit.atelier import ACCEPTED, BASE, Atelier, AtelierAdapter
from tests.unit.replicas import ReplicatedRedis
from workers.services.ledger_check import LedgerCheck

URL = "redis://:secret@127.0.0.1:6379/0"


class Bucket:
    """As much of an object store as the identity takes."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.away = False

    def exists(self, key: str) -> bool:
        if self.away:
            raise StorageError("away")
        return key in self.objects

    def uri(self, key: str) -> str:
        return key

    def get(self, uri: str, *, max_bytes: int) -> bytes:
        return self.objects[uri][:max_bytes]

    def put(self, key: str, content: bytes, *, content_type: str) -> None:
        self.objects[key] = content


def known(bucket: Objects, url: str = URL) -> KnownLedger:
    """What the bucket knows of the ledger at an address."""
    return KnownLedger(bucket, url, sentinel_master="mymaster")


def check_of(ledger: Ledger, bucket: Bucket) -> LedgerCheck:
    """A worker's check, which looks when the test says so."""
    return LedgerCheck(ledger, lambda: known(bucket))


def test_a_fresh_deployment_starts_without_ceremony() -> None:
    """Two workers begin at once: one id, known to both, in the ledger and in the bucket."""
    server, bucket = ReplicatedRedis(), Bucket()
    ledgers = [Ledger(server) for _ in range(2)]
    for ledger in ledgers:
        ledger.identity.expect_look()
        assert ledger.identity.refusal
        check_of(ledger, bucket).look()

    assert (
        {ledger.identity.expected for ledger in ledgers} == {known(bucket).read().id} == {read_state(server).id} != {""}
    )
    assert {ledger.identity.wait() for ledger in ledgers} == {""}


def test_the_ledger_of_an_earlier_release_is_taken_as_it_is() -> None:
    """It has jobs and no id."""
    stage, bucket = Stage.in_memory(), Bucket()
    stage.running("a")
    check_of(stage.ledger, bucket).look()
    assert stage.ledger.identity.wait() == ""


@pytest.mark.parametrize("again", [False, True], ids=["vanished", "another"])
def test_a_lost_ledger_buys_nothing(again: bool) -> None:
    """Also where a worker is started anew, which never saw the lost one; an operator's word ends it."""
    server, bucket = ReplicatedRedis(), Bucket()
    old, new = Ledger(server), Ledger(server)
    check = check_of(old, bucket)
    check.look()
    first = read_state(server).id
    server.flushall()
    if again:
        give_id(server)
    check.look()
    check_of(new, bucket).look()

    assert first in old.identity.wait()
    assert first in new.identity.wait()
    assert bool(read_state(server).id) is again  # no worker gives a lost ledger a new id
    known(bucket).write(LedgerState(give_id(server)))
    check.look()
    assert old.identity.wait() == ""
    assert old.identity.expected == read_state(server).id


def test_an_intent_is_refused_at_once(stage: Stage) -> None:
    """A ledger that is lost between two looks: the script that writes the intent finds it out."""
    bucket = Bucket()
    check_of(stage.ledger, bucket).look()
    _, _, attempt = stage.submitting("a")
    assert attempt == 1
    stage.server.delete(LEDGER_KEY)
    record = taken(stage.arrive("b", token="t"), Verb.SUBMIT)

    assert stage.ledger.submits.intend(record, "t") == OTHER_LEDGER
    assert stage.state("b") == JobState.QUEUED
    assert stage.field("b", "submits") == ""


@pytest.fixture
def stage() -> Stage:
    """A ledger in memory."""
    return Stage.in_memory()


@pytest.fixture
def atelier() -> Iterator[Atelier]:
    """A worker in memory, whose provider accepts."""
    installed()["atelier"] = AtelierAdapter()
    world = Atelier()
    world.reply("POST", f"{BASE}/works", ACCEPTED)
    try:
        yield world
    finally:
        world.event_loop.stop()
        del installed()["atelier"]


def test_a_worker_sends_nothing_on_a_lost_ledger(atelier: Atelier) -> None:
    """FLUSHALL, and then the message of a job comes again: it waits in line until the operator's word."""
    bucket = Bucket()
    check: Any = check_of(atelier.ledger, bucket)
    atelier.ledger_check = check  # type: ignore[attr-defined]  # a double, as all of it
    check.look()
    atelier.server.flushall()
    atelier.submit()
    assert atelier.calls == []
    check.look()
    atelier.clock.advance(30)
    atelier.again()

    assert atelier.calls == []
    assert atelier.record().state is JobState.QUEUED
    known(bucket).write(LedgerState(give_id(atelier.server)))
    check.look()
    atelier.clock.advance(30)
    atelier.again()
    assert atelier.purchases() == 1


def test_a_store_that_is_away_says_nothing_of_the_ledger() -> None:
    """Before the first look nothing is bought; afterwards what was known stands."""
    ledger, bucket = Ledger(ReplicatedRedis()), Bucket()
    ledger.identity.expect_look()
    bucket.away = True
    check = check_of(ledger, bucket)
    with pytest.raises(StorageError):
        check.look()
    assert not ledger.identity.looked
    bucket.away = False
    check.look()
    bucket.away = True
    check.look()
    assert ledger.identity.wait() == ""


@pytest.mark.parametrize("buys", [True, False])
def test_a_process_that_never_buys_refuses_nothing(stage: Stage, buys: bool) -> None:
    """A poller looks at no ledger: `bide explain` must not send a person to look after it."""
    ledger, bucket = stage.ledger, Bucket()
    bucket.away = True
    ledger.identity.expect_look()
    check = check_of(ledger, bucket)
    check.start(buys=buys)
    check.stop()
    assert ledger.identity.refusal
    assert bool(check.refusal) == buys


def test_the_safety_is_announced_with_each_look() -> None:
    """A leader that came by a failover may lack it."""
    server = ReplicatedRedis()
    check_of(Ledger(server, safety=Safety(2, 0.5)), Bucket()).look()
    assert server.hmget(LEDGER_KEY, "safe_replicas", "safe_seconds") == ["2", "0.5"]
    assert server.ttl(LEDGER_KEY) > 0  # as all keys of the ledger


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("redis://a:6379/0", "redis://user:pw@a:6379/0", True),
        ("redis://a:6379/0", "redis://a:6379/1", False),
        ("redis://a:6379/0", "redis://b:6379/0", False),
        ("sentinel://:pw@a:1/0;sentinel://b:2/0", "sentinel://b:2/0;sentinel://a:1/0", True),
        ("unix:///run/a.sock?db=0", "unix:///run/b.sock?db=0", False),
    ],
)
def test_a_ledger_is_known_by_its_address(one: str, other: str, same: bool) -> None:
    """Two deployments may share a bucket; passwords change, and tell no ledger from another."""
    keys = [known(Bucket(), url).key for url in (one, other)]
    assert (keys[0] == keys[1]) is same
    assert "pw" not in "".join(keys)
