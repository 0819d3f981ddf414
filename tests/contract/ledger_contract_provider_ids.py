"""The ledger's contract about the index of provider ids: one purchase is never two jobs'."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from bide.bulk.runs import Runs
from bide.contract import JobState
from bide.errors import InvalidRequestError
from bide.ledger import AccountName, Polled, Verb
from bide.ledger.keys import prefix
from tests.contract.ledger_stage import ACCOUNT, ERROR, Stage, request_of, taken

#: An account that may have the same key as `ACCOUNT`, and one of another provider.
SIBLING, STRANGER = AccountName("photogpt", "second"), AccountName("dreambooth", "default")

#: Ids that share a hash of the index, whose rule counts a letter 31 times as much as the one behind it: as many as make
#: the hash look for old ones.
ALIKE = ["".join(each) for each in itertools.product(("Aa", "BB"), repeat=4)]

LOST = '{"code":"lost","message":"not found","job_id":""}'


class ProviderIdsContract:
    """An id that any record has is no other job's; it is held for as long as the record was to be kept."""

    @pytest.mark.parametrize("state", ["running", "storing", "finished", "other", "attached", "row"])
    def test_an_id_that_a_record_has_is_refused(self, stage: Stage, state: str) -> None:
        """Wherever its job stands: the refusal names that job, and changes nothing."""
        held = held_by(stage, "a", state)
        stage.unconfirmed("b")
        before = dict(record_of(stage, "b"))
        with pytest.raises(InvalidRequestError, match=f"{held} is the provider's id of job a already"):
            stage.ledger.unconfirmed.attach(ACCOUNT, "b", held)
        assert (record_of(stage, "b"), stage.clocks("b")) == (before, {"unconfirmed"})
        assert stage.ledger.unconfirmed.holders(ACCOUNT, [held, "free"]) == {held: "a"}
        assert stage.ledger.unconfirmed.attach(ACCOUNT, "b", "free")[0]

    @pytest.mark.parametrize("account", [SIBLING, STRANGER], ids=str)
    def test_accounts_of_one_provider_share_their_ids(self, stage: Stage, account: AccountName) -> None:
        """They may have one key, and so one list of jobs; another provider's ids are its own."""
        stage.unconfirmed("a")
        stage.ledger.unconfirmed.attach(ACCOUNT, "a", "7")
        token = stage.token()
        record = stage.ledger.jobs.step("b", account, token=token, request=request_of(account)).record
        assert record is not None
        stage.ledger.submits.intend(record, token)
        stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        if account == SIBLING:
            with pytest.raises(InvalidRequestError, match="of job a already"):
                stage.ledger.unconfirmed.attach(account, "b", "7")
        else:
            assert stage.ledger.unconfirmed.attach(account, "b", "7")[0]

    def test_of_two_operators_one_attaches(self, stage: Stage) -> None:
        """The script decides, whatever either has read before."""
        stage.unconfirmed("a")
        stage.unconfirmed("b")
        assert stage.ledger.unconfirmed.holders(ACCOUNT, ["p-9"]) == {}
        assert stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-9")[0]
        hide_records(stage, "a", fields=("pid",))
        with pytest.raises(InvalidRequestError, match="of job a already"):
            stage.ledger.unconfirmed.attach(ACCOUNT, "b", "p-9")

    @pytest.mark.parametrize("note", ["lost", "deadline"])
    def test_an_id_that_was_not_the_jobs_is_free_again(self, stage: Stage, note: str) -> None:
        """The provider does not confirm what an operator attached: the job it belongs to can have it."""
        stage.unconfirmed("a")
        stage.unconfirmed("b")
        stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-9")
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "failed", value=LOST, note=note)])
        assert stage.ledger.unconfirmed.holders(ACCOUNT, ["p-9"]) == {}
        assert index(stage) == {}
        assert stage.ledger.unconfirmed.attach(ACCOUNT, "b", "p-9")[0]

    def test_a_wrong_id_is_free_where_another_purchase_goes_on(self, stage: Stage) -> None:
        """The job is polled by the id that came late; both were held until then."""
        record, token, attempt = stage.unconfirmed("a")
        stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p-9")
        stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p-true")
        assert stage.ledger.unconfirmed.holders(ACCOUNT, ["p-9", "p-true"]) == {"p-9": "a", "p-true": "a"}
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "failed", value=LOST, note="lost")])
        assert stage.ledger.unconfirmed.holders(ACCOUNT, ["p-9", "p-true"]) == {"p-true": "a"}

    def test_a_row_is_held_after_its_record(self, stage: Stage) -> None:
        """A run drops the records of its rows as it goes; their ids are held for as long as others are."""
        stage.finished("run.1")
        Runs(stage.server).drop(ACCOUNT, ["run.1"])
        assert not stage.server.exists(f"{prefix(ACCOUNT)}job:run.1")
        stage.unconfirmed("b")
        stage.clock.advance(stage.ledger.timing.retention_seconds - 5)
        with pytest.raises(InvalidRequestError, match=r"of job run\.1 already"):
            stage.ledger.unconfirmed.attach(ACCOUNT, "b", "p-run.1")
        stage.clock.advance(10)
        assert stage.ledger.unconfirmed.attach(ACCOUNT, "b", "p-run.1")[0]

    def test_an_entry_lives_as_long_as_its_record(self, stage: Stage) -> None:
        """While the job is live far beyond its deadline, then until the moment at which the record goes."""
        stage.running("a")
        [key] = index_keys(stage)
        assert stage.ttl_of(key) >= 30 * 24 * 3600
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "failed", value=ERROR, note="rejected")])
        stage.resume("a")
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert kept_until(stage, "p-a") == stage.clock.now + stage.ttl("job", "a")
        assert stage.ttl("job", "a") == stage.ledger.timing.retention_seconds

    def test_an_entry_lives_as_long_as_a_callback_keeps_the_record(self, stage: Stage) -> None:
        """An operator has it sent again, which takes a while: so long the record lives on."""
        stage.finished("a", callback_url="https://example.com/hook")
        [key] = index_keys(stage)
        for kept in (key, f"{prefix(ACCOUNT)}job:a"):
            stage.server.expire(kept, 60)
        stage.ledger.callbacks.replay(ACCOUNT, "a")
        assert stage.ttl_of(key) == stage.ttl("job", "a") == stage.ledger.timing.retention_seconds
        assert kept_until(stage, "p-a") == stage.clock.now + stage.ttl("job", "a")

    def test_a_late_answer_to_a_canceled_job_is_held(self, stage: Stage) -> None:
        """It was bought all the same, and its record says so for as long as it is kept."""
        record, token, attempt = stage.submitting("a")
        stage.ledger.jobs.cancel(ACCOUNT, "a")
        stage.ledger.jobs.answered(ACCOUNT, "a")
        stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p-late")
        assert stage.ledger.unconfirmed.holders(ACCOUNT, ["p-late"]) == {"p-late": "a"}
        assert kept_until(stage, "p-late") == stage.clock.now + stage.ttl("job", "a")

    def test_what_is_over_leaves_the_index(self, stage: Stage) -> None:
        """Some new id in the same hash takes the old ones along; a job that has a record keeps its own."""
        for number, each in enumerate(ALIKE[:-1]):
            buy(stage, f"j{number}", each)
        live, *over = (f"j{number}" for number in range(len(ALIKE) - 1))
        for job_id in over:
            end(stage, job_id)
        Runs(stage.server).drop(ACCOUNT, over)
        stage.clock.advance(40 * 24 * 3600)
        assert len(index(stage)) == len(ALIKE) - 1
        buy(stage, "new", ALIKE[-1])
        assert index(stage) == {ALIKE[0]: live, ALIKE[-1]: "new"}

    def test_records_that_are_older_than_the_index_count(self, stage: Stage) -> None:
        """The release before wrote ids into records alone."""
        stage.running("a")
        stage.server.delete(*index_keys(stage))
        stage.unconfirmed("b")
        assert stage.ledger.unconfirmed.holders(ACCOUNT, ["p-a"]) == {"p-a": "a"}
        with pytest.raises(InvalidRequestError, match="p-a is the provider's id of job a already"):
            stage.ledger.unconfirmed.attach(ACCOUNT, "b", "p-a")

    def test_many_ids_are_looked_up(self, stage: Stage) -> None:
        """More than one call of a script takes together; none is asked for nothing."""
        stage.running("a")
        ids = [f"q-{number}" for number in range(2500)] + ["p-a"]
        assert stage.ledger.unconfirmed.holders(ACCOUNT, ids) == {"p-a": "a"}
        assert stage.ledger.unconfirmed.holders(ACCOUNT, []) == {}


def held_by(stage: Stage, job_id: str, state: str) -> str:
    """An id that a job has, which stands somewhere."""
    match state:
        case "running" | "storing" | "finished":
            getattr(stage, state)(job_id)
            return f"p-{job_id}"
        case "other":
            record, token, attempt = stage.unconfirmed(job_id)
            stage.ledger.unconfirmed.attach(ACCOUNT, job_id, "p-first")
            stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p-other")
            return "p-other"
        case "attached":
            stage.unconfirmed(job_id)
            stage.ledger.unconfirmed.attach(ACCOUNT, job_id, "p-attached")
            return "p-attached"
        case _:
            stage.finished(job_id, priority="bulk")
            Runs(stage.server).drop(ACCOUNT, [job_id])
            return f"p-{job_id}"


def buy(stage: Stage, job_id: str, provider_job_id: str) -> None:
    """A job whose provider gave it an id, and the result with it."""
    record, token, attempt = stage.submitting(job_id)
    stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id=provider_job_id, outputs="[]")


def end(stage: Stage, job_id: str) -> None:
    """The result of such a job is stored, and its caller knows."""
    token = stage.token()
    record = taken(stage.resume(job_id, token=token), Verb.STORE)
    stage.ledger.jobs.conclude(record, token, JobState.SUCCEEDED, result="{}")
    stage.ledger.jobs.answered(ACCOUNT, job_id)


def kept_until(stage: Stage, provider_job_id: str) -> float:
    """The moment in an entry of the index, to the next minute, since Redis's own time goes on."""
    [entry] = [each for key in index_keys(stage) if (each := stage.server.hget(key, provider_job_id))]
    after = float(str(entry).partition(" ")[0]) - stage.clock.now
    return stage.clock.now + 60 * math.ceil(after / 60)


def record_of(stage: Stage, job_id: str) -> dict[str, str]:
    """All fields of a record."""
    found: dict[Any, Any] = stage.server.hgetall(f"{prefix(ACCOUNT)}job:{job_id}")
    return found


def hide_records(stage: Stage, job_id: str, *, fields: tuple[str, ...]) -> None:
    """As another operator saw the record, who read it a moment before."""
    stage.server.hdel(f"{prefix(ACCOUNT)}job:{job_id}", *fields)


def index_keys(stage: Stage) -> list[str]:
    """The hashes of the index."""
    keys: list[str] = sorted(stage.server.scan_iter("bide:{*}:pids:*"))
    return keys


def index(stage: Stage) -> dict[str, str]:
    """The job of each id, as the index has it."""
    held: dict[str, str] = {}
    for key in index_keys(stage):
        entries: Any = stage.server.hgetall(key)
        held |= {each: entry.rpartition(" ")[2] for each, entry in entries.items()}
    return held
