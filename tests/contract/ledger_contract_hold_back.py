"""The ledger's contract about submits that a worker can't make: the job waits in line, and its account with it."""

from __future__ import annotations

from bide.ledger import Limits, Verb
from tests.contract.ledger_stage import ACCOUNT, Crew, Stage, taken

REASON = "the object store takes nothing"


class HoldBackContract:
    """A job that was let in goes back to its place; nothing is counted against it, and one job tries again."""

    def test_a_job_that_is_held_back_keeps_its_place(self, stage: Stage) -> None:
        """It stands before those that came after it, as often as that happens, and no try is counted."""
        for job_id in ("a", "b", "c"):
            stage.open(job_id)
        for number in range(3):
            record = taken(stage.resume("a", token=f"t{number}"), Verb.SUBMIT)
            messages = stage.ledger.submits.hold_back(record, f"t{number}", seconds=3, reason=REASON)
            assert stage.clocks("a") == {"queued"}
            assert (stage.state("a"), stage.field("a", "tries"), stage.field("a", "submits")) == ("queued", "", "")
            assert messages.round is None or messages.round.countdown_seconds == 3
            assert not messages.hints
            assert stage.resume("b").verb is Verb.WAIT
            assert not stage.ledger.accounts.admit(ACCOUNT).hints
            stage.clock.advance(3.1)
            assert [hint.job_id for hint in stage.ledger.accounts.admit(ACCOUNT).hints] == ["a"]

    def test_the_reason_is_shown_and_ends_with_the_first_that_is_accepted(self, stage: Stage) -> None:
        """One job goes ahead; once it is bought all others follow."""
        stage.limits[ACCOUNT] = Limits(max_in_flight=50)
        crew = Crew(stage.ledger, stage.clock)
        record = taken(stage.arrive("a", token="t"), Verb.SUBMIT)
        for job_id in ("b", "c", "d"):
            stage.open(job_id)
        crew.send(stage.ledger.submits.hold_back(record, "t", seconds=3, reason=REASON))
        assert REASON in stage.ledger.accounts.state(ACCOUNT).trouble
        stage.clock.advance(3.1)
        hints = stage.ledger.accounts.admit(ACCOUNT)
        assert [hint.job_id for hint in hints.hints] == ["a"]
        crew.send(hints)
        crew.work()
        assert {stage.state(job_id) for job_id in "abcd"} == {"running"}
        assert stage.ledger.accounts.state(ACCOUNT).trouble == ""

    def test_only_a_job_that_may_still_be_bought_is_held_back(self, stage: Stage) -> None:
        """Neither another worker's, nor one whose intent is written, nor a canceled one; the account goes on then."""
        submitting, token, _ = stage.submitting("a")
        stranger = taken(stage.arrive("b", token="t"), Verb.SUBMIT)
        canceled = taken(stage.arrive("c", token="u"), Verb.SUBMIT)
        stage.ledger.jobs.cancel(ACCOUNT, "c")
        for record, held_as in ((submitting, token), (stranger, "not-t"), (canceled, "u")):
            messages = stage.ledger.submits.hold_back(record, held_as, seconds=3, reason=REASON)
            assert (messages.hints, messages.round) == ((), None)
        assert [stage.state(job_id) for job_id in "abc"] == ["submitting", "queued", "canceled"]
        assert stage.ledger.accounts.state(ACCOUNT).trouble == ""

    def test_a_longer_wait_is_not_cut_short(self, stage: Stage) -> None:
        """A provider that refuses for a minute is left alone for a minute."""
        record = taken(stage.arrive("a", token="t"), Verb.SUBMIT)
        stage.ledger.accounts.block_submits(ACCOUNT, seconds=60, reason="HTTP 401")
        stage.ledger.submits.hold_back(record, "t", seconds=3, reason=REASON)
        assert stage.ledger.accounts.state(ACCOUNT).open_seconds == 60
