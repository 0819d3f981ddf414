"""The ledger's contract about what is learned of durations: kept for each operation, and no process's news are lost."""

from __future__ import annotations

from bide.ledger import Polled
from bide.ledger.keys import prefix
from tests.contract.ledger_stage import ACCOUNT, Stage


class LearningContract:
    """A compare-and-set for each operation, and the times that claims tell."""

    def test_what_is_learned_is_kept(self, stage: Stage) -> None:
        """Several operations in one script; each is read back as it was written."""
        models = stage.ledger.accounts.learn(ACCOUNT, [("images", "", "one"), ("videos", "", "two")])

        assert models == ["one", "two"]
        assert stage.ledger.accounts.duration_models(ACCOUNT) == {"images": "one", "videos": "two"}

    def test_news_made_of_old_knowledge_are_not_taken(self, stage: Stage) -> None:
        """The process that comes second gets what the first wrote, and nothing is overwritten."""
        stage.ledger.accounts.learn(ACCOUNT, [("images", "", "one")])

        assert stage.ledger.accounts.learn(ACCOUNT, [("images", "", "mine"), ("videos", "", "two")]) == ["one", "two"]
        assert stage.ledger.accounts.learn(ACCOUNT, [("images", "one", "one and mine")]) == ["one and mine"]
        assert stage.ledger.accounts.duration_models(ACCOUNT) == {"images": "one and mine", "videos": "two"}

    def test_learning_twice_is_learning_once(self, stage: Stage) -> None:
        """A script that ran although its answer was lost replies the same once more."""
        news = [("images", "", "one")]
        assert stage.ledger.accounts.learn(ACCOUNT, news) == stage.ledger.accounts.learn(ACCOUNT, news) == ["one"]

    def test_it_lives_with_its_account(self, stage: Stage) -> None:
        """One key for each account, in the account's slot, as long as the account's own counters; none for jobs."""
        stage.ledger.accounts.learn(ACCOUNT, [("images", "", "one")])

        assert stage.server.keys("*durations*") == [f"{prefix(ACCOUNT)}durations"]
        assert stage.server.ttl(f"{prefix(ACCOUNT)}durations") == -1

    def test_a_claim_tells_a_jobs_times(self, stage: Stage) -> None:
        """When it was accepted, with which estimate, and when it last ran: failed polls are not counted."""
        record, token, attempt = stage.submitting("a")
        stage.ledger.submits.submitted(
            record, token, attempt=attempt, provider_job_id="p", first_poll_seconds=2.0, estimate_seconds=12.5
        )
        accepted = stage.clock.now
        stage.clock.advance(2)
        (first,) = stage.ledger.polls.claim(ACCOUNT, 1, batch=1).jobs
        assert (first.submitted, first.ran, first.estimate_seconds) == (accepted, 0.0, 12.5)

        messages = stage.ledger.polls.record(ACCOUNT, [Polled("a", "running", 2.0)])
        stage.clock.advance(2)
        assert messages.round is not None
        (second,) = stage.ledger.polls.claim(ACCOUNT, messages.round.seq, batch=1).jobs
        assert second.ran == accepted + 2

        messages = stage.ledger.polls.record(ACCOUNT, [Polled("a", "trouble", 2.0)])
        stage.clock.advance(2)
        assert messages.round is not None
        (third,) = stage.ledger.polls.claim(ACCOUNT, messages.round.seq, batch=1).jobs
        assert (third.ran, third.polls) == (accepted + 2, 2)
