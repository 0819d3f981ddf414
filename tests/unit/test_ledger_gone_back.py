"""A ledger that went back, as by an old backup, has its id, and lacks what was bought since: it buys nothing."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from bide.contract import JobState
from bide.ledger import Ledger, Verb
from bide.ledger.identity import KEEP_SECONDS, TOLERATED_SECONDS, accept, mismatch, read_state
from bide.ledger.safety import LEDGER_KEY, Safety
from bide.ledger.submits import OTHER_LEDGER
from tests.contract.ledger_stage import Stage, taken
from tests.unit.replicas import ReplicatedRedis
from tests.unit.test_ledger_identity import Bucket, check_of, known
from workers.services.ledger_check import LedgerCheck


class Clock:
    """Redis's time, which a test moves [seconds since the epoch]."""

    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class World:
    """A ledger, the bucket, and workers that look when the test says so."""

    def __init__(self, safety: Safety | None = None) -> None:
        self.server, self.bucket, self.clock = ReplicatedRedis(), Bucket(), Clock()
        self._safety = safety

    def worker(self) -> LedgerCheck:
        """A worker that has just started."""
        ledger = Ledger(self.server, clock=self.clock, safety=self._safety)
        check = check_of(ledger, self.bucket)
        check._buys = True
        check.look()
        return check

    def pass_seconds(self, seconds: float, *workers: LedgerCheck) -> None:
        """Time passes, and the workers look at its end."""
        self.clock.now += seconds
        for worker in workers:
            worker.look()

    def backup(self) -> dict[Any, Any]:
        """What is known of the ledger as a whole."""
        return self.server.hgetall(LEDGER_KEY)

    def restore(self, backup: dict[Any, Any]) -> None:
        """The server is lost, and comes back as it was then."""
        self.server.flushall()
        self.server.hset(LEDGER_KEY, mapping=backup)

    def confirm(self) -> None:
        """As `bide ledger confirm`."""
        store = known(self.bucket)
        store.write(accept(self.server, store.read()))


@pytest.fixture
def world() -> World:
    """A ledger, the bucket, and no worker yet."""
    return World()


def test_a_worker_that_lived_on_buys_nothing_on_an_old_backup(world: World) -> None:
    """Its id is the known one; the worker misses its own looks."""
    worker = world.worker()
    old = world.backup()
    world.pass_seconds(30, worker)
    assert worker.refusal == ""
    world.restore(old)
    world.pass_seconds(5, worker)

    assert "went back to what it was at 2023-11-14 22:13:20 UTC" in worker.refusal
    assert "had come to 2023-11-14 22:13:50 UTC" in worker.refusal


def test_nor_does_one_that_starts_then(world: World) -> None:
    """Its only witness is the bucket."""
    worker = world.worker()
    old = world.backup()
    world.pass_seconds(KEEP_SECONDS + 1, worker)
    world.restore(old)
    assert "went back" in mismatch(read_state(world.server), known(world.bucket).read())  # `bide ledger show` says so

    assert "went back" in world.worker().refusal


def test_one_worker_notices_for_all(world: World) -> None:
    """A worker whose bucket knows of no late look does not hide the loss from the others, nor from itself."""
    old_worker = world.worker()
    old = world.backup()
    world.pass_seconds(30, old_worker)
    world.restore(old)
    world.pass_seconds(5, old_worker)

    new = world.worker()
    assert "went back" in new.refusal
    world.pass_seconds(5, new, old_worker, new)
    assert "went back" in new.refusal
    assert "went back" in old_worker.refusal


def test_an_operator_ends_it_for_all(world: World) -> None:
    """The ledger has a new id then, so that the same backup is refused once more."""
    workers = [world.worker(), world.worker()]
    old = world.backup()
    world.pass_seconds(90, *workers)
    world.restore(old)
    world.pass_seconds(5, *workers)
    world.confirm()
    world.pass_seconds(5, *workers)

    assert [worker.refusal for worker in (*workers, world.worker())] == ["", "", ""]
    assert read_state(world.server).id != old["id"]
    world.restore(old)
    world.pass_seconds(5, *workers)
    assert all("has the id" in worker.refusal for worker in workers)


def test_a_later_backup_is_the_way_back(world: World) -> None:
    """What holds the latest look lacks nothing: nobody has to confirm it."""
    worker = world.worker()
    old = world.backup()
    world.pass_seconds(30, worker)
    late = world.backup()
    world.restore(old)
    world.pass_seconds(5, worker)
    assert worker.refusal
    world.restore(late)
    world.pass_seconds(5, worker)

    assert worker.refusal == ""


@pytest.mark.parametrize("seconds", [1.0, TOLERATED_SECONDS - 1])
def test_a_failover_is_no_old_backup(world: World, seconds: float) -> None:
    """`BIDE_LEDGER__SAFE=disk` may lose seconds; an operator need not look after each of these."""
    worker = world.worker()
    old = world.backup()
    world.pass_seconds(seconds, worker)
    world.restore(old)
    world.pass_seconds(5, worker)

    assert worker.refusal == ""


@pytest.mark.parametrize("acknowledged", [0, redis.ResponseError("unknown command")])
def test_what_no_replica_has_is_not_missed(acknowledged: int | redis.RedisError) -> None:
    """A leader without replicas buys nothing with `replica`; a failover that forgets its looks has lost nothing."""
    world = World(Safety(1, 0.5))
    worker = world.worker()
    old = world.backup()
    world.server.acknowledge = lambda: acknowledged
    for _ in range(10):
        world.pass_seconds(20, worker)
    world.server.acknowledge = lambda: 1
    world.restore(old)
    world.pass_seconds(5, worker)

    assert worker.refusal == ""
    assert world.worker().refusal == ""


def test_the_bucket_learns_of_the_last_look_when_the_ledger_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup that is younger than what was kept there last is noticed by workers that start later, too."""
    worker = world.worker()
    world.pass_seconds(5, worker)
    old = world.backup()
    world.pass_seconds(20, worker)
    assert known(world.bucket).read().looked_at < world.clock.now
    with monkeypatch.context() as away:
        away.setattr(world.server, "pipeline", _away)
        worker._try()
    assert known(world.bucket).read().looked_at == world.clock.now
    world.restore(old)

    assert "went back" in world.worker().refusal


def _away(*_: object, **__: object) -> None:
    raise redis.ConnectionError("gone")


def test_the_bucket_is_asked_for_little(world: World) -> None:
    """One object in a minute, whatever number of workers looks."""
    workers = [world.worker() for _ in range(5)]
    kept = []
    for _ in range(36):
        world.pass_seconds(5, *workers)
        kept.append(known(world.bucket).read().looked_at)

    assert len(set(kept)) == 4  # that of the start, and three in three minutes


def test_a_look_of_another_ledger_is_not_kept(world: World) -> None:
    """A worker that has not looked since an operator confirmed another ledger leaves the bucket alone."""
    world.worker()
    store = known(world.bucket)
    before = store.read()
    store.keep_look("another", world.clock.now + 100)

    assert store.read() == before


def test_an_intent_is_refused_at_once() -> None:
    """Between a restore and the next look: the script that writes the intent finds it out, by itself."""
    stage, bucket = Stage.in_memory(), Bucket()
    check = check_of(stage.ledger, bucket)
    check.look()
    record = taken(stage.arrive("a", token="t"), Verb.SUBMIT)
    lost = str(stage.ledger.identity.seen_at - TOLERATED_SECONDS - 1)
    stage.server.hset(LEDGER_KEY, "looked_at", lost)

    assert stage.ledger.submits.intend(record, "t") == OTHER_LEDGER
    assert stage.state("a") == JobState.QUEUED


def test_a_backup_of_an_earlier_release_went_back(world: World) -> None:
    """It has an id and no look."""
    worker = world.worker()
    world.pass_seconds(5, worker)
    world.restore({"id": worker._identity.expected})
    world.pass_seconds(5, worker)

    assert "went back" in worker.refusal


def test_a_ledger_and_a_bucket_of_an_earlier_release_are_taken_as_they_are(world: World) -> None:
    """Neither knows of any look."""
    world.server.hset(LEDGER_KEY, "id", "one")
    store = known(world.bucket)
    world.bucket.objects[store.key] = b'{"id": "one", "since": "2026-11-30T12:00:00+00:00"}'

    assert world.worker().refusal == ""
    assert store.read().looked_at == world.clock.now


@pytest.mark.parametrize(
    "found", [{"id": "an older one"}, {"id": "an older one", "went_back_from": "7"}, {"safe_replicas": "0"}], ids=str
)
def test_a_confirmed_ledger_has_an_id_that_none_had_before(world: World, found: dict[str, str]) -> None:
    """Attempts are named by it: those of another life of an old backup are not this one's."""
    worker = world.worker()
    before = worker._identity.expected
    world.restore(found)
    world.confirm()
    state = read_state(world.server)
    assert state.id not in ("", before, "an older one")
    assert state.went_back_from == 0
    assert not mismatch(state, known(world.bucket).read())


def test_a_ledger_that_nobody_knows_keeps_its_id(world: World) -> None:
    """Its workers may know it at another address of the same server."""
    world.restore({"id": "theirs"})
    world.confirm()
    assert read_state(world.server).id == "theirs"
