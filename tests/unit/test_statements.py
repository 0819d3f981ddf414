"""Statements of days: what they say, when they are written again, and what is made of one when the ledger is lost."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import IO, Any, cast

import fakeredis
import pytest
from structlog.testing import capture_logs

from bide.contract import GenerateRequest
from bide.errors import InvalidRequestError
from bide.ledger.book import Books
from bide.ledger.identity import deployment_of
from bide.ledger.keys import purchases_key
from bide.ledger.records import BoughtWith
from bide.money.book import Sums
from bide.money.budgets import Budget
from bide.money.quote import Quote
from bide.statements import Statements, purchases_prefix, statement_key
from bide.storage import Storage
from tests.contract.ledger_contract_money import book
from tests.contract.ledger_stage import ACCOUNT, Clock, Stage
from tests.unit.memory_store import MemoryStorage
from workers.services.statements import StatementWriter

DAY = date(2023, 11, 14)
BUDGET = Budget("month", 1_000_000, "USD", per="month")


class Store(MemoryStorage):
    """A store that counts the statements that are put into it."""

    puts = 0

    def put(self, key: str, content: bytes | IO[bytes], **options: Any) -> None:
        self.puts += key.endswith(".json")
        super().put(key, content, **options)


@pytest.fixture
def store() -> Store:
    """The deployment's object store."""
    return Store()


@pytest.fixture
def stage() -> Stage:
    """A ledger with one purchase, and a submit under way."""
    stage = Stage.in_memory()
    buy(stage, "a")
    record, token = stage.arrive("b", token="t").record, "t"
    assert record is not None
    stage.ledger.submits.intend(record, token, quote=Quote(50_000, "USD"), budgets=[BUDGET])
    stage.ledger.budgets.publish([BUDGET])
    return stage


def buy(stage: Stage, job_id: str) -> None:
    """A job that was accepted."""
    record, token, attempt = stage.submitting(job_id, quote=Quote(40_000, "USD"))
    stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id=f"p-{job_id}")


def write(stage: Stage, store: Store) -> list[Any]:
    """One turn of the writer."""
    return list(Statements(stage.ledger, cast(Storage, store)).write())


def read(store: Store) -> dict[str, Any]:
    """The statement of the day."""
    found: dict[str, Any] = json.loads(store.client.objects[statement_key(DAY)])
    return found


def test_a_statement_has_each_row_and_is_written_when_that_changes(stage: Stage, store: Store) -> None:
    """And no more often."""
    for _ in range(3):
        assert write(stage, store) == []
    assert store.puts == 1
    document = read(store)
    assert statement_key(DAY) == "statements/2023/11/14.json"
    assert document["open"] is True
    assert document["totals"]["USD"] == {
        "reserved": 50_000, "spent": 40_000, "refunded": 0, "purchases": 1, "unpriced": 0,
    }  # fmt: skip
    [row] = document["rows"]
    assert (row["account"], row["operation"], row["currency"]) == ("photogpt/default", "images.generation", "USD")
    assert document["budgets"] == [{"name": "month", "period": "2023-11", "reserved": 50_000, "spent": 0}]
    buy(stage, "c")
    write(stage, store)
    assert (store.puts, read(store)["totals"]["USD"]["spent"]) == (2, 80_000)


def test_a_day_with_something_open_is_written_when_it_closes_however_late(stage: Stage, store: Store) -> None:
    """Also after the days that are looked at anyway."""
    write(stage, store)
    stage.clock.advance(30 * 24 * 3600)
    record = stage.ledger.jobs.read(ACCOUNT, "b")
    assert record is not None
    stage.ledger.submits.submitted(record, "t", attempt=1, provider_job_id="p-b")
    write(stage, store)
    assert (read(store)["open"], read(store)["totals"]["USD"]["spent"]) == (False, 90_000)


def test_a_lost_ledger_takes_its_books_up_again(stage: Stage, store: Store) -> None:
    """Once; what was reserved counts as spent, budgets too; what was bought since the loss is added."""
    write(stage, store)
    lost = Stage(fakeredis.FakeRedis(decode_responses=True, version=(7,)), Clock())
    buy(lost, "new")
    [rebuilt] = write(lost, store)
    assert (rebuilt.day, rebuilt.accounts, rebuilt.assumed) == (DAY, ("photogpt/default",), {"USD": 50_000})
    assert rebuilt.reaches == "2023-11-14T22:13:20+00:00"
    assert book(lost) == Sums(spent=130_000, purchases=2)
    assert write(lost, store) == []
    assert book(lost) == Sums(spent=130_000, purchases=2)
    assert read(store)["totals"]["USD"]["spent"] == 130_000
    [stand] = lost.ledger.budgets.stands([BUDGET])
    assert (stand.reserved, stand.spent) == (0, 50_000)


def test_a_reservation_whose_record_lives_stays_one(stage: Stage, store: Store) -> None:
    """Only the books were lost: the job's end finds its reservation there."""
    write(stage, store)
    stage.server.delete(*stage.server.keys("*:book:*"), "bide:statements")
    [rebuilt] = write(stage, store)
    assert rebuilt.assumed == {"USD": 0}
    assert book(stage) == Sums(reserved=50_000, spent=40_000, purchases=1)
    record = stage.ledger.jobs.read(ACCOUNT, "b")
    assert record is not None
    stage.ledger.submits.submitted(record, "t", attempt=1, provider_job_id="p-b")
    assert book(stage) == Sums(spent=90_000, purchases=2)


def purchases(store: Store, deployment: str = "") -> dict[str, dict[str, Any]]:
    """What the lines of the day say of each purchase: the last one counts."""
    place = purchases_prefix(DAY, deployment)
    parts = sorted(key for key in store.client.objects if key.startswith(place))
    lines = [json.loads(line) for key in parts for line in store.client.objects[key].decode().splitlines()]
    return {line["purchase"]: line for line in lines}


def test_each_purchase_has_a_line_beside_the_statement(stage: Stage, store: Store) -> None:
    """When, for whom, where, as what, how much, and who says so; what changes later has a line more."""
    record, token, attempt = stage.submitting("c", quote=Quote(40_000, "USD", "settings"), tenant="acme")
    bought = BoughtWith(cost="0.07 USD")
    stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p-c", bought_with=bought)
    write(stage, store)
    found = {line["job"]: line for line in purchases(store).values()}
    assert found.keys() == {"a", "c"}  # nothing is known of what became of b
    assert found["c"] == {
        "purchase": f"c@{int(stage.clock.now)}",
        "begun": datetime.fromtimestamp(int(stage.clock.now), UTC).isoformat(),
        "job": "c",
        "tenant": "acme",
        "account": str(ACCOUNT),
        "operation": "images.generation",
        "provider_job_id": "p-c",
        "state": "spent",
        "amount": 70_000,
        "currency": "USD",
        "source": "provider",
    }
    assert (found["a"]["amount"], found["a"]["state"]) == (40_000, "spent")
    total = sum(line["amount"] for line in found.values())
    assert read(store)["totals"]["USD"]["spent"] == total
    assert read(store)["purchases"] == purchases_prefix(DAY)
    record, token, attempt = stage.submitting("d", quote=Quote(40_000, "USD"))
    stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p-d")
    stage.ledger.unconfirmed.attach(ACCOUNT, "d", "p-d")
    write(stage, store)
    assert len(purchases(store)) == 3
    assert not stage.server.exists(purchases_key(ACCOUNT))


def test_lines_are_written_in_pages_and_survive_a_writer_that_dies(
    stage: Stage, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its page is forgotten: it is written once more, and says the same of each purchase."""
    monkeypatch.setattr("bide.statements.PAGE_LINES", 2)
    for number in range(4):
        buy(stage, f"more-{number}")
    with monkeypatch.context() as dying:
        dying.setattr(Books, "forget_purchase_lines", lambda *_: pytest.fail("died"))
        with pytest.raises(pytest.fail.Exception):
            write(stage, store)
    write(stage, store)
    assert {line["job"] for line in purchases(store).values()} == {"a", *(f"more-{each}" for each in range(4))}
    assert not stage.server.exists(purchases_key(ACCOUNT))


def test_what_no_writer_takes_away_is_bounded_and_ends(stage: Stage) -> None:
    """A deployment without an object store keeps the latest lines for a while."""
    assert 0 < stage.server.ttl(purchases_key(ACCOUNT)) <= 30 * 24 * 3600


def test_deployments_that_share_a_bucket_leave_each_others_statements_alone(stage: Stage, store: Store) -> None:
    """Each has its own; one that loses its ledger takes up its own books, and those alone."""
    other = Stage(fakeredis.FakeRedis(decode_responses=True, version=(7,)), Clock())
    assert list(Statements(stage.ledger, cast(Storage, store), deployment="one").write()) == []
    assert list(Statements(other.ledger, cast(Storage, store), deployment="two").write()) == []
    assert book(other) == Sums()
    buy(other, "x")
    Statements(other.ledger, cast(Storage, store), deployment="two").write()
    lost = Stage(fakeredis.FakeRedis(decode_responses=True, version=(7,)), Clock())
    [rebuilt] = Statements(lost.ledger, cast(Storage, store), deployment="two").write()
    assert (rebuilt.day, book(lost)) == (DAY, Sums(spent=40_000, purchases=1))
    assert {line["job"] for line in purchases(store, "one").values()} == {"a"}
    assert {line["job"] for line in purchases(store, "two").values()} == {"x"}


def test_a_statement_of_an_earlier_release_is_taken_up_when_asked_for(stage: Stage, store: Store) -> None:
    """It does not say whose it is: a new deployment in the same bucket does not take it for its own."""
    write(stage, store)
    lost = Stage(fakeredis.FakeRedis(decode_responses=True, version=(7,)), Clock())
    statements = Statements(lost.ledger, cast(Storage, store), deployment="one")
    assert statements.rebuild(DAY) is None
    assert statements.rebuild(DAY, of_any=True)
    assert book(lost).spent == 90_000


def test_the_ledgers_address_tells_deployments_apart() -> None:
    """Not its user or password, which may change."""
    first = deployment_of("redis://:old@redis:6379/1", sentinel_master="")
    assert first == deployment_of("redis://user:new@redis:6379/1", sentinel_master="")
    assert first != deployment_of("redis://redis:6379/2", sentinel_master="")


def test_one_process_at_a_time_writes(stage: Stage, store: Store) -> None:
    """And says what it had to make again."""
    write(stage, store)
    lost = Stage(fakeredis.FakeRedis(decode_responses=True, version=(7,)), Clock())
    writers = [StatementWriter(lost.ledger, lambda: cast(Storage, store)) for _ in range(2)]
    with capture_logs() as logs:
        assert [writer.write() for writer in writers] == [True, False]
    assert [entry["day"] for entry in logs if entry["event"] == "book.rebuilt"] == ["2023-11-14"]


def test_no_job_writes_over_a_statement() -> None:
    """The prefix is bide's own."""
    with pytest.raises(InvalidRequestError, match="output_prefix"):
        GenerateRequest.parse({"provider": "p", "operation": "o", "output_prefix": "statements/x"})
