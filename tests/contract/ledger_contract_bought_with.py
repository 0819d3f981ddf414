"""The ledger's contract about what a job is bought with: base URL, adapter and handle go with the purchase."""

from __future__ import annotations

from bide.contract import JobState
from bide.ledger import BoughtWith, Polled
from tests.contract.ledger_contract_submits import intended_again
from tests.contract.ledger_stage import ACCOUNT, ERROR, Stage

FIRST = BoughtWith("https://one.example", "photogpt 1", '{"at":"https://one.example/7","n":[1.50,{}]}')
SECOND = BoughtWith("https://two.example", "photogpt 2", '"second"')


def bought_with(stage: Stage, job_id: str = "a") -> BoughtWith:
    """What the record says."""
    return BoughtWith(*(stage.field(job_id, name) for name in ("base_url", "adapter", "handle")))


class BoughtWithContract:
    """Where a job is called about, whatever becomes of its submits."""

    def test_it_stands_from_the_intent_on(self, stage: Stage) -> None:
        """So that a submit without an answer is looked for where it went; the handle comes with the answer."""
        record, token, attempt = stage.submitting("a")
        assert attempt == stage.ledger.submits.intend(record, token)
        assert bought_with(stage) == BoughtWith()
        step = stage.arrive("b", token="t")
        assert step.record is not None
        stage.ledger.submits.intend(step.record, "t", bought_with=FIRST)
        assert bought_with(stage, "b") == BoughtWith(FIRST.base_url, FIRST.adapter)
        stage.ledger.submits.submitted(step.record, "t", attempt=1, provider_job_id="p1", bought_with=FIRST)
        stage.clock.advance(3)
        [job] = stage.ledger.polls.claim(ACCOUNT, 1, batch=10).jobs
        assert (job.job_id, job.bought_with) == ("b", FIRST)
        assert (job.ticket.handle, job.ticket.version) == ({"at": "https://one.example/7", "n": [1.5, {}]}, "1")

    def test_a_job_bought_by_an_earlier_release_goes_on(self, stage: Stage) -> None:
        """Its record does not say: it goes by the settings."""
        stage.running("a")
        stage.clock.advance(3)
        [job] = stage.ledger.polls.claim(ACCOUNT, 1, batch=10).jobs
        assert (job.bought_with, job.ticket.handle, job.ticket.version) == (BoughtWith(), None, "")

    def test_an_earlier_purchase_is_polled_where_it_was_made(self, stage: Stage) -> None:
        """The second submit went elsewhere and was refused: the job goes on as the first, with the first's handle."""
        record, token, _ = stage.submitting("a", on_unknown="resubmit")
        stage.ledger.jobs.conclude(record, token, JobState.UNCONFIRMED, error=ERROR)
        second = intended_again(stage, "a", "t2")
        stage.ledger.submits.submitted(record, token, attempt=1, provider_job_id="p1", bought_with=FIRST)
        assert stage.field("a", "other_pid") == "p1"
        stage.ledger.submits.refused(second, "t2", attempt=2, reason="429", after_seconds=None)
        assert (stage.field("a", "pid"), bought_with(stage)) == ("p1", FIRST)
        stage.ledger.submits.submitted(second, "t2", attempt=2, provider_job_id="p2", bought_with=SECOND)
        assert (stage.field("a", "pid"), bought_with(stage)) == ("p1", FIRST)

    def test_an_attached_id_has_no_handle(self, stage: Stage) -> None:
        """That of another purchase would lead to another job."""
        step = stage.arrive("a", token="t")
        assert step.record is not None
        stage.ledger.submits.intend(step.record, "t", bought_with=FIRST)
        stage.ledger.jobs.conclude(step.record, "t", JobState.UNCONFIRMED, error=ERROR)
        stage.ledger.jobs.answered(ACCOUNT, "a")
        stage.ledger.unconfirmed.attach(ACCOUNT, "a", "p9")
        assert bought_with(stage) == BoughtWith(FIRST.base_url, FIRST.adapter)

    def test_the_handle_goes_at_the_end(self, stage: Stage) -> None:
        """Where it was bought stays, for people."""
        record, token, attempt = stage.submitting("a")
        stage.ledger.submits.submitted(record, token, attempt=attempt, provider_job_id="p", bought_with=FIRST)
        stage.clock.advance(3)
        stage.ledger.polls.claim(ACCOUNT, 1, batch=10)
        stage.ledger.polls.record(ACCOUNT, [Polled("a", "failed", value=ERROR)])
        stage.ledger.jobs.answered(ACCOUNT, "a")
        assert bought_with(stage) == BoughtWith(FIRST.base_url, FIRST.adapter)
