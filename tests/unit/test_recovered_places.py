"""`bide recover` in a bucket that deployments share, and of a ledger that has moved to another address."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bide.contract import JobResult, MadeBy
from bide.deployments import owners
from bide.errors import InvalidRequestError
from bide.ledger.identity import LEDGER, KnownLedger, LedgerState, deployment_of
from bide.ledger.safety import LEDGER_KEY
from bide.money.book import Sums
from bide.purchases import ACCOUNT as ACCOUNT_NAME
from bide.receipt_places import place_of
from bide.receipts import folder
from bide.statements import Statements
from config.settings import load
from tests.unit.atelier import ACCOUNT, BASE
from tests.unit.receipts_world import World, opened_as
from workers.doctor.findings import Level
from workers.doctor.receipts import check_receipts
from workers.recover import Recoverer

OLD, NEW = "redis://old:6379/0", "redis://new:6379/0"


class MovingWorld(World):
    """Its Redis may move, and everything goes by its address."""

    def __init__(self, **settings: str) -> None:
        super().__init__(**settings)
        self.address = OLD

    def receipt_folder(self) -> str:
        return folder(self.known_ledger().key)

    def start_writer(self) -> None:
        super().start_writer()
        self.receipts._where = self.receipt_folder  # type: ignore[attr-defined]  # by the address, as in a process

    def recoverer(self, place: str = "") -> Recoverer:
        """One recovery of the last day."""
        tools: Any = self
        since = datetime.fromtimestamp(self.clock.now, UTC) - timedelta(days=1)
        return Recoverer(tools, since=since, place=place)


@pytest.fixture
def world() -> Iterator[MovingWorld]:
    """A deployment whose ledger has the id `one`, as its bucket knows."""
    with opened_as(MovingWorld, PRICES='{"paint": 0.04}') as world:
        world.server.hset(LEDGER_KEY, "id", "one")
        world.known_ledger().write(LedgerState("one"))
        yield world


def another(world: World, ledger_id: str = "theirs", url: str = "redis://theirs:6379/0") -> None:
    """Another deployment has its ledger in the bucket."""
    KnownLedger(world.storage, url, sentinel_master="mymaster").write(LedgerState(ledger_id))


def stored(world: World, job_id: str, *, ledger: str = "", account: str = "default", named: bool = True) -> None:
    """A finished job of which there is no receipt; `ledger`: the id in its object, '' as of an earlier release."""
    made_by = MadeBy(provider="atelier", operation="paint", account=account) if named else None
    result = JobResult(
        job_id=job_id, provider="atelier", operation="paint", provider_job_id=f"p-{job_id}", polls=1,
        finished_at=datetime.now(UTC), outputs=(), made_by=made_by,
    )  # fmt: skip
    key = f"{datetime.now(UTC):%Y/%m/%d}/{job_id}/job.json"
    about = {LEDGER: ledger, ACCOUNT_NAME: account if named else ""}
    world.bucket.client.objects[key] = result.model_dump_json().encode()
    world.bucket.client.metadata[key] = {name: value for name, value in about.items() if value}


def test_finished_jobs_of_another_deployment_are_left_alone(world: MovingWorld) -> None:
    """Each object names the ledger that had its job, also under an id that this deployment's ledger had earlier."""
    another(world)
    world.known_ledger().write(LedgerState("two"))
    for job_id, ledger in {"mine": "two", "earlier": "one", "theirs": "theirs", "unknown": "gone"}.items():
        stored(world, job_id, ledger=ledger)
    world.lose()
    for what in ("taken", "known"):
        assert world.recover() == {
            "mine": ("result", what, "succeeded"),
            "earlier": ("result", what, "succeeded"),
            "theirs": ("result", "foreign", ""),
            "unknown": ("result", "foreign", ""),
        }
    assert world.state("theirs") == ""


def test_a_dry_run_says_so_too(world: MovingWorld) -> None:
    """And what would be taken."""
    another(world)
    stored(world, "theirs", ledger="theirs")
    stored(world, "mine", ledger="one")
    assert world.recover(dry=True) == {
        "theirs": ("result", "foreign", ""),
        "mine": ("result", "taken", "succeeded"),
    }


def test_objects_of_an_earlier_release_in_a_bucket_of_ones_own(world: MovingWorld) -> None:
    """They name no ledger, and there is no other whose they might be."""
    stored(world, "mine")
    stored(world, "older", account="gone", named=False)
    world.lose()
    assert {what for _, what, _ in world.recover().values()} == {"taken"}


def test_objects_of_an_earlier_release_in_a_shared_bucket(world: MovingWorld) -> None:
    """They go by the account that they name: one that is configured here, and that no other deployment uses."""
    world.configure(ACCOUNTS__MINE__API_KEY="k", ACCOUNTS__BOTH__API_KEY="k")
    another(world)
    stored(world, "mine", account="mine")
    stored(world, "theirs", account="theirs")
    stored(world, "nobodys", named=False)
    stored(world, "tagged", account="both", ledger="theirs")
    stored(world, "shared", account="both")
    world.lose()
    found = world.recover()
    assert {job_id for job_id, (_, what, _) in found.items() if what == "taken"} == {"mine"}
    assert {what for job_id, (_, what, _) in found.items() if job_id != "mine"} == {"foreign"}


def moved(world: MovingWorld) -> str:
    """Buy before a statement and after it; then Redis starts empty at another address. Returns the old folder."""
    for number, job_id in enumerate("ab"):
        world.replies["POST", f"{BASE}/works"].clear()
        world.reply("POST", f"{BASE}/works", {"id": f"p-{job_id}"})
        world.submit(job_id)
        if not number:
            world.clock.advance(10)
            deployment = deployment_of(OLD, sentinel_master="mymaster")
            Statements(world.ledger, world.storage, deployment=deployment).write()
            world.clock.advance(10)
    old = world.receipt_folder()
    stored(world, "c", ledger="one")
    world.receipts.stop()
    world.address = NEW
    world.lose()
    world.server.hset(LEDGER_KEY, "id", "two")
    return old


def test_receipts_of_another_address_are_named(world: MovingWorld) -> None:
    """Nothing is taken up from them by itself: they may be another deployment's."""
    old = moved(world)
    recoverer = world.recoverer()
    assert [each for each in recoverer.run() if each.what != "foreign"] == []
    [warning] = recoverer.other_places()
    assert old in warning
    assert "the ledger one" in warning


def test_no_place_is_named_where_ours_has_receipts(world: MovingWorld) -> None:
    """Deployments share a bucket: that is as it should be."""
    world.bucket.put(f"bide-receipts/{32 * 'f'}/2026/01/01/1.json", b"{}")
    world.submit()
    world.receipts.stop()
    assert list(world.recoverer().other_places()) == []


def test_a_ledger_that_moved_is_made_again(world: MovingWorld) -> None:
    """Its jobs, its books, and from then on what the bucket knows of it as its own."""
    old = moved(world)
    Statements(world.ledger, world.storage, deployment=deployment_of(NEW, sentinel_master="mymaster")).write()
    for what in ("taken", "known"):
        found = {each.job_id: (each.what, each.state) for each in world.recoverer(place_of(world.storage, old)).run()}
        assert found == {"a": (what, "running"), "b": (what, "running"), "c": (what, "succeeded")}
    day = datetime.fromtimestamp(world.clock.now, UTC).date()
    assert sum(world.ledger.books.day(ACCOUNT, day).values(), Sums()) == Sums(spent=80_000, purchases=2)
    assert "one" in world.known_ledger().ids()


@pytest.mark.parametrize("form", ["{}", "{}/", "bide-receipts/{}", "bide-receipts/{}/"])
def test_how_a_place_may_be_written(world: MovingWorld, form: str) -> None:
    """As the warning has it, or the folder's name alone."""
    old = moved(world)
    assert place_of(world.storage, form.format(old.split("/")[1])) == old


@pytest.mark.parametrize("wrong", ["x", "statements/", "bide-receipts/", "../x", 32 * "0"])
def test_a_place_that_there_is_not(world: MovingWorld, wrong: str) -> None:
    """The error names those that there are."""
    old = moved(world)
    with pytest.raises(InvalidRequestError, match=f"--from: .*{old}"):
        place_of(world.storage, wrong)


def test_the_doctor_names_other_places(world: MovingWorld) -> None:
    """Where receipts are on, ours are none, and others have some."""
    old = moved(world)
    settings = load({"BIDE_S3__BUCKET": "results", "BIDE_LEDGER__RECEIPTS": "s3"}, env_file=None)
    for storage in [world.storage]:
        storage.remove = lambda *_: None  # type: ignore[method-assign]  # the test object stays
    for _ in range(2):  # the test object of the first time is no receipt
        found = list(check_receipts(settings, world.storage, world.receipt_folder))
        assert [each.level for each in found] == [Level.OK, Level.WARNING]
        assert old in found[1].says
        assert "--from" in found[1].remedy
    json.dumps([each.says for each in found])


def living(world: MovingWorld, *, seconds: float) -> str:
    """Redis has moved, and a worker has looked at the ledger of the old address some seconds ago."""
    old = moved(world)
    world.known_ledger().write(LedgerState("two", looked_at=world.clock.now))
    there = KnownLedger(world.storage, OLD, sentinel_master="mymaster")
    there.write(LedgerState("one", looked_at=world.clock.now - seconds))
    return old


@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize("seconds", [-5, 1, 119])
def test_a_deployment_that_lives_keeps_its_jobs(world: MovingWorld, seconds: float, dry: bool) -> None:
    """Nothing is taken up, and each deployment owns what it owned."""
    old = living(world, seconds=seconds)
    recoverer = world.recoverer(old)
    recoverer._dry = dry
    with pytest.raises(InvalidRequestError, match=r"--from: .*bide-receipts/.*\(one\).*stop the workers"):
        list(recoverer.run())
    assert world.state("a") == ""
    assert not owners(world.storage, ["one"]).owns("two")
    assert not owners(world.storage, ["two"]).owns("one")


def test_one_that_was_left_two_minutes_ago_is_taken_up(world: MovingWorld) -> None:
    """Its workers have stopped."""
    old = living(world, seconds=121)
    assert {each.what for each in world.recoverer(old).run()} == {"taken"}


def test_the_same_ledger_by_another_name_lives(world: MovingWorld) -> None:
    """This host reaches it by another address than its workers, which look at it."""
    old = living(world, seconds=1)
    world.server.hset(LEDGER_KEY, "id", "one")
    assert {each.what for each in world.recoverer(old).run()} == {"taken"}
