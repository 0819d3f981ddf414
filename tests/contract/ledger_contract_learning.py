"""The ledger's contract about duration models: one for each operation, and no process's news are lost."""

from __future__ import annotations

from bide.ledger import Polled
from bide.ledger.keys import prefix
from tests.contract.ledger_stage import ACCOUNT, Stage


class LearningContract:
    """The ledger replaces a duration model by compare-and-set; a claim gives the times to learn from."""

    def test_what_is_learned_is_kept(self, stage: Stage) -> None:
        """One script writes the models of several operations, and each is read back as it was written."""
        models = stage.ledger.accounts.learn(ACCOUNT, [("images", "", "one"), ("videos", "", "two")])

        assert models == ["one", "two"]
        assert stage.ledger.accounts.duration_models(ACCOUNT) == {"images": "one", "videos": "two"}

    def test_news_made_of_old_knowledge_are_not_taken(self, stage: Stage) -> None:
        """The second process to write a model gets that of the first, and overwrites nothing."""
        stage.ledger.accounts.learn(ACCOUNT, [("images", "", "one")])

        assert stage.ledger.accounts.learn(ACCOUNT, [("images", "", "mine"), ("videos", "", "two")]) == ["one", "two"]
        assert stage.ledger.accounts.learn(ACCOUNT, [("images", "one", "one and mine")]) == ["one and mine"]
        assert stage.ledger.accounts.duration_models(ACCOUNT) == {"images": "one and mine", "videos": "two"}

    def test_learning_twice_is_learning_once(self, stage: Stage) -> None:
        """A script that runs twice replies the same both times."""
        news = [("images", "", "one")]
        assert stage.ledger.accounts.learn(ACCOUNT, news) == stage.ledger.accounts.learn(ACCOUNT, news) == ["one"]

    def test_it_lives_with_its_account(self, stage: Stage) -> None:
        """The models of an account are one key in its slot, without a TTL; jobs have none."""
        stage.ledger.accounts.learn(ACCOUNT, [("images", "", "one")])

        assert stage.server.keys("*durations*") == [f"{prefix(ACCOUNT)}durations"]
        assert stage.server.ttl(f"{prefix(ACCOUNT)}durations") == -1

    def test_a_claim_tells_a_jobs_times(self, stage: Stage) -> None:
        """A claim says when the job was accepted, with which estimate, and when a poll last saw it run."""
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
