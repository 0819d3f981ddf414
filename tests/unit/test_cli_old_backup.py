"""What an operator types after an old backup was restored: `bide ledger show`, `unconfirmed add`, `ledger confirm`."""

from __future__ import annotations

import json

import pytest

from bide.cli import ledger as command
from bide.ledger import Ledger
from bide.ledger.identity import KnownLedger, LedgerState, read_state
from bide.ledger.safety import LEDGER_KEY
from tests.contract.ledger_stage import Stage
from tests.unit.command import Command
from tests.unit.memory_store import memory_storage
from tests.unit.test_ledger_identity import Bucket, check_of, known


@pytest.fixture
def stage() -> Stage:
    """The ledger of the commands."""
    return Stage.in_memory()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """The object store of the commands."""
    bucket = Bucket()
    monkeypatch.setattr(command, "_known", lambda _: known(bucket))
    return bucket


@pytest.fixture
def run(stage: Stage) -> Command:
    """`bide` over that ledger."""
    return Command(stage, None)


@pytest.fixture
def went_back(stage: Stage, bucket: Bucket) -> KnownLedger:
    """A worker has looked, and the ledger is two minutes older than that."""
    check_of(stage.ledger, bucket).look()
    store = known(bucket)
    found = read_state(stage.server)
    store.write(LedgerState(found.id, found.looked_at + 120))
    return store


@pytest.mark.parametrize("noticed", [False, True])
@pytest.mark.usefixtures("went_back")
def test_show_says_that_it_went_back(stage: Stage, bucket: Bucket, run: Command, noticed: bool) -> None:
    """Also before any worker runs."""
    if noticed:
        check_of(Ledger(stage.server, clock=stage.clock), bucket).look()
        assert stage.server.hexists(LEDGER_KEY, "went_back_from")
    shown = run("ledger", "show")

    assert shown.exit_code == 1
    assert "it went back to what it was at 2023-11-14 22:13:20 UTC, and had come to 2023-11-14 22:15:20" in shown.output
    assert "bide ledger confirm" in shown.output
    problem = json.loads(run("ledger", "show", "--json").output)["problem"]
    assert "went back" in problem


@pytest.mark.parametrize("noticed", [False, True])
def test_confirm_gives_it_another_id(
    stage: Stage, bucket: Bucket, run: Command, went_back: KnownLedger, noticed: bool
) -> None:
    """Workers that know the old one take up the new one; nothing is left to confirm."""
    worker, another = check_of(stage.ledger, bucket), check_of(Ledger(stage.server, clock=stage.clock), bucket)
    if noticed:
        another.look()
        worker.look()
        assert stage.ledger.identity.refusal
    before = read_state(stage.server).id
    assert run("ledger", "confirm", "--yes").exit_code == 0

    assert went_back.read().id == read_state(stage.server).id != before
    worker.look()
    assert stage.ledger.identity.wait() == ""
    assert run("ledger", "show").exit_code == 0
    assert "nothing to confirm" in run("ledger", "confirm").output


def test_a_job_in_line_is_put_on_the_list(stage: Stage, run: Command) -> None:
    """And settled as any other; what is not in line is refused by its state."""
    stage.arrive("a")
    stage.running("b")

    assert "is unconfirmed" in run("unconfirmed", "add", "a").output
    assert stage.state("a") == "unconfirmed"
    assert "running, not in line" in run("unconfirmed", "add", "b").output
    assert "nothing is known of a job" in run("unconfirmed", "add", "c").output
    assert "goes on as p-9" in run("unconfirmed", "attach", "a", "p-9").output
    assert stage.state("a") == "running"


@pytest.mark.parametrize("words", [("show",), ("confirm", "--yes")])
def test_a_bucket_that_knows_other_addresses_alone_is_named(
    run: Command, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """This host may reach Redis by another name than the workers, who look for what is known at theirs."""
    storage = memory_storage()
    theirs, ours = (
        KnownLedger(storage, f"redis://{name}:6379/0", sentinel_master="mymaster") for name in ("redis", "127.0.0.1")
    )
    theirs.write(LedgerState("one"))
    monkeypatch.setenv("BIDE_BROKER_URL", "redis://127.0.0.1:6379/0")
    monkeypatch.setattr(command, "_known", lambda _: ours)
    monkeypatch.setattr(command, "object_store", lambda _: storage)
    warned = run("ledger", *words).stderr
    assert "the bucket knows no ledger at this address" in warned
    assert theirs.key in warned
    assert "BIDE_LEDGER_URL" in warned
    ours.write(LedgerState("two"))
    assert "warning" not in run("ledger", *words).stderr
