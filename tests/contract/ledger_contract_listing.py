"""The ledger's contract about settlement by listing: whose purchases may be on a list, and how one is attached."""

from __future__ import annotations

import pytest

from bide.contract import JobState
from bide.errors import InvalidRequestError
from bide.ledger import AccountName, Record
from bide.ledger.keys import prefix
from bide.ledger.settling import LISTING, Doubt, Promise, evidence
from tests.contract.ledger_stage import ACCOUNT, ERROR, Stage, request_of

SIBLING, STRANGER = AccountName("photogpt", "second"), AccountName("nextry", "default")

#: What makes a submit one that is looked for on a list.
LISTED = Promise(LISTING, live_seconds=700, sending_seconds=75)

#: The window of a submit that is made now [seconds].
MINUTE = 60.0


def in_doubt(stage: Stage, job_id: str, *, account: AccountName = ACCOUNT, settles: bool = True) -> Record:
    """A job whose submit got no answer: settling where its account settles by listing, else unconfirmed."""
    token = stage.token()
    step = stage.ledger.jobs.step(job_id, account, token=token, request=request_of(account), signature="s")
    assert step.record is not None
    assert stage.ledger.submits.intend(step.record, token, promise=LISTED if settles else None)
    doubt = Doubt(0.0, evidence="no answer") if settles else None
    stage.ledger.jobs.conclude(step.record, token, JobState.UNCONFIRMED, error=ERROR, doubt=doubt)
    found = stage.ledger.jobs.read(account, job_id)
    assert found is not None
    return found


def taken_up(stage: Stage, job_id: str) -> tuple[Record, str]:
    """A worker looks for it: its lease."""
    stage.clock.advance(10)
    stage.ledger.accounts.sweep(ACCOUNT)
    token = stage.token()
    record = stage.ledger.jobs.step(job_id, ACCOUNT, token=token).record
    assert record is not None
    return record, token


def open_ones(stage: Stage) -> list[str]:
    """The jobs that a listed job of this minute may be."""
    now = stage.clock.now
    return sorted(each.job_id for each in stage.ledger.unconfirmed.open_purchases("photogpt", now - MINUTE, now))


class ListingContract:
    """A doubt that a list settles is a doubt like any other until then."""

    def test_a_doubt_is_kept_back_and_has_no_key(self, stage: Stage) -> None:
        """So that no release sends it again; it keeps its place at the provider."""
        record = in_doubt(stage, "a")
        assert record.settling
        assert stage.clocks("a") == {"lease", "inflight"}
        assert {"submit_key", "submit_digest"}.isdisjoint(record.fields)

    def test_what_is_found_is_attached_by_the_worker_that_has_the_lease(self, stage: Stage) -> None:
        """With evidence and no operator; another worker attaches nothing."""
        in_doubt(stage, "a")
        record, token = taken_up(stage, "a")
        attach = stage.ledger.unconfirmed.attach_listed
        assert not attach(record, "p-9", evidence="found", token="another's")[0]
        assert stage.state("a") == "submitting"
        assert attach(record, "p-9", evidence="found", token=token)[0]
        assert stage.clocks("a") == {"due", "inflight"}
        assert (stage.field("a", "pid"), stage.field("a", "listed"), stage.field("a", "settled")) == ("p-9", "1", "")
        found = stage.ledger.jobs.read(ACCOUNT, "a")
        assert found is not None
        assert [kind for _, kind, _ in evidence(found)] == ["doubt", "settled"]

    def test_what_another_job_has_is_not_attached(self, stage: Stage) -> None:
        """The script decides, whatever was read before."""
        stage.running("b")
        in_doubt(stage, "a")
        record, token = taken_up(stage, "a")
        with pytest.raises(InvalidRequestError, match="p-b is the provider's id of job b already"):
            stage.ledger.unconfirmed.attach_listed(record, "p-b", evidence="found", token=token)

    def test_an_unconfirmed_job_is_attached_without_a_lease(self, stage: Stage) -> None:
        """As the command does; one that an operator has settled meanwhile is not."""
        record = in_doubt(stage, "a", settles=False)
        assert stage.ledger.unconfirmed.give_up(ACCOUNT, "a")[0]
        assert not stage.ledger.unconfirmed.attach_listed(record, "p-9", evidence="found")[0]
        other = in_doubt(stage, "b", settles=False)
        assert stage.ledger.unconfirmed.attach_listed(other, "p-9", evidence="found")[0]
        assert stage.state("b") == "running"

    def test_what_no_look_has_settled_is_unconfirmed_as_any_other(self, stage: Stage) -> None:
        """Nothing is left of the doubt in its record; an operator may have it submitted again."""
        in_doubt(stage, "a")
        record, token = taken_up(stage, "a")
        assert stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR, doubt=Doubt())
        assert (stage.state("a"), stage.field("a", "doubted")) == ("unconfirmed", "")
        assert stage.ledger.unconfirmed.resubmit(ACCOUNT, "a")[0]
        assert stage.state("a") == "queued"

    @pytest.mark.parametrize("settles", [True, False])
    @pytest.mark.parametrize("account", [ACCOUNT, SIBLING], ids=str)
    def test_doubts_of_all_accounts_of_the_provider_count(
        self, stage: Stage, account: AccountName, settles: bool
    ) -> None:
        """Whatever their accounts settle by; those of another provider do not."""
        in_doubt(stage, "a", account=account, settles=settles)
        in_doubt(stage, "b", account=STRANGER, settles=False)
        assert open_ones(stage) == ["a"]

    def test_a_submit_under_way_counts_and_a_known_purchase_does_not(self, stage: Stage) -> None:
        """Nor does one that has not been begun."""
        stage.submitting("under way")
        stage.running("known")
        stage.storing("made")
        stage.arrive("not begun")
        assert open_ones(stage) == ["under way"]

    @pytest.mark.parametrize("left", ["canceled", "given up", "resubmitted"])
    def test_a_purchase_that_nobody_looks_for_counts_for_a_day(self, stage: Stage, left: str) -> None:
        """It may be on the list. The key that names it goes with the last."""
        in_doubt(stage, "a", settles=False)
        unconfirmed = stage.ledger.unconfirmed
        if left == "canceled":
            stage.ledger.jobs.cancel(ACCOUNT, "a", at_provider=False)
        elif left == "given up":
            unconfirmed.give_up(ACCOUNT, "a")
        else:
            unconfirmed.resubmit(ACCOUNT, "a")
        assert open_ones(stage) == ["a"]
        assert stage.ttl_of(f"{prefix(ACCOUNT)}abandoned") == 24 * 3600
        stage.clock.advance(24 * 3600 + 1)
        in_doubt(stage, "b", settles=False)
        unconfirmed.give_up(ACCOUNT, "b")
        assert stage.server.zrange(f"{prefix(ACCOUNT)}abandoned", 0, -1) == ["b"]

    def test_what_was_submitted_again_counts_from_its_beginning(self, stage: Stage) -> None:
        """Its first purchase may be the listed one, though its last submit is later."""
        in_doubt(stage, "a", settles=False)
        began = stage.clock.now
        stage.ledger.unconfirmed.resubmit(ACCOUNT, "a")
        stage.clock.advance(3000)
        token = stage.token()
        record = stage.ledger.jobs.step("a", ACCOUNT, token=token).record
        assert record is not None
        assert stage.ledger.submits.intend(record, token)
        found = stage.ledger.unconfirmed.open_purchases("photogpt", began, began + MINUTE)
        assert [each.job_id for each in found] == ["a"]
