"""The ledger's contract about job ids: each belongs to one job in the whole deployment."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bide.bulk.names import job_id, run_prefix
from bide.bulk.record import LiveRow, Options
from bide.bulk.runs import Runs
from bide.bulk.scripts import OpenedRow
from bide.ledger import AccountName, Polled, Verb
from bide.ledger.keys import prefix
from tests.contract.ledger_stage import ACCOUNT, SIGNATURE, Stage, request_of

#: Another account of the same provider, and an account of another provider.
OTHERS = (AccountName("photogpt", "second"), AccountName("dreambooth", "default"))

#: More callers of one job than one call of a Lua function takes arguments.
MANY = 9000


class IdsContract:
    """A job id names objects, results and messages by itself, so that no two jobs may have it."""

    @pytest.mark.parametrize("other", OTHERS, ids=str)
    @pytest.mark.parametrize("by_client", [True, False], ids=["client", "message"])
    def test_an_id_is_refused_to_another_account(self, stage: Stage, other: AccountName, by_client: bool) -> None:
        """The ledger refuses a second account's job under the id; the first goes on, and takes its own message."""
        stage.open("a")
        request, keys = request_of(other), set(stage.server.keys("*"))
        if by_client:
            step = stage.ledger.jobs.open("a", request, deadline_seconds=60)
        else:
            step = stage.ledger.jobs.step("a", other, token="t", request=request, deadline_seconds=60)
        assert (step.verb, step.other) == (Verb.CONFLICT, "a")
        assert set(stage.server.keys("*")) == keys
        assert stage.arrive("a").verb is Verb.SUBMIT

    @pytest.mark.parametrize("state", ["ended", "unconfirmed", "following", "canceled"])
    def test_an_id_stays_with_its_job(self, stage: Stage, state: str) -> None:
        """An ended job keeps its id for as long as its record is kept."""
        match state:
            case "ended":
                stage.finished("a")
            case "unconfirmed":
                stage.unconfirmed("a")
            case "following":
                stage.open("leader", idempotency_key="k")
                assert stage.arrive("a", idempotency_key="k").verb is Verb.FOLLOW
            case _:
                stage.open("a")
                stage.ledger.jobs.cancel(ACCOUNT, "a")
        assert stage.ledger.jobs.open("a", request_of(OTHERS[0]), deadline_seconds=60).verb is Verb.CONFLICT

    def test_an_id_is_searched_under_many_accounts(self, stage: Stage) -> None:
        """The search for an id goes through more accounts than one command takes arguments."""
        accounts = [str(AccountName("photogpt", f"account-{number}")) for number in range(MANY)]
        stage.server.sadd("bide:accounts", *accounts)
        stage.server.hset(f"bide:{{{accounts[-1]}}}:job:a", "state", "queued")
        assert stage.open("a").verb is Verb.CONFLICT
        assert stage.open("b").verb is Verb.OPENED

    def test_a_row_keeps_its_id_after_its_record(self, stage: Stage) -> None:
        """A run drops the records of rows whose results it has; their ids name objects that lie in the bucket."""
        runs = Runs(stage.server, retention_seconds=3600)
        runs.create("run", rows=1, digest="d", source="s", options=Options())
        assert stage.open(job_id("run", 1)).verb is Verb.CONFLICT
        assert stage.open("other.1").verb is Verb.OPENED

    def test_a_row_is_not_opened_under_the_id_of_another_job(self, stage: Stage) -> None:
        """A job of another account that was named like a row before the run began keeps its id."""
        stage.ledger.jobs.open(job_id("run", 1), request_of(OTHERS[0]), deadline_seconds=60)
        runs, note = Runs(stage.server, retention_seconds=3600), LiveRow.entry_of("c", 0, 10, 0, ACCOUNT)
        runs.create("run", rows=1, digest="d", source="s", options=Options())
        stage.server.hset(f"{run_prefix('run')}live", "1", note)
        request = request_of()
        row = OpenedRow(
            row="1",
            live=note,
            id=job_id("run", 1),
            request=request.to_json(),
            operation=request.operation,
            allowed_seconds="60",
            fingerprint=request.fingerprint(),
        )
        assert runs.open("run", ACCOUNT, [row]) == 0
        assert stage.server.exists(f"{prefix(ACCOUNT)}job:{job_id('run', 1)}") == 0
        [live] = runs.live("run")
        assert live.kind == "x"

    def test_an_unconfirmed_job_with_thousands_of_followers_is_settled(self, stage: Stage) -> None:
        """Thousands of followers wait for an unconfirmed job, and all of them get its end."""
        stage.unconfirmed("c")
        waiting: dict[Any, Any] = {f"caller-{number}": json.dumps({"root_id": f"r{number}"}) for number in range(MANY)}
        stage.server.hset(f"{prefix(ACCOUNT)}doubters:c", mapping=waiting)
        stage.ledger.jobs.cancel(ACCOUNT, "c")
        assert stage.ledger.jobs.followers(ACCOUNT, "c") == waiting

    def test_a_step_has_the_callers_message_as_it_was_first(self, stage: Stage) -> None:
        """A step has the links and the chord of its caller, whichever message leads to it; a follower's has, too."""
        stage.running("a", idempotency_key="k")
        stage.arrive("b", idempotency_key="k", signature="of b")
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "ended", seen=True)])
        assert stage.arrive("b", idempotency_key="k", signature="forged").signature == "of b"
        assert stage.resume("b").signature == "of b"
        step = stage.arrive("a", idempotency_key="k", signature="forged")
        assert (step.verb, step.signature) == (Verb.STORE, SIGNATURE)
